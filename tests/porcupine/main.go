// Judges histories of leases, limits and closes with porcupine: is there an order of all operations, each within
// its own time, in which one after another they would have been answered as they were?
//
// Standard input holds a JSON object a line, an operation each. One whose outcome nobody knows has no "output": it
// may have been done at any time after its call, or never. Standard output gets a JSON object: whether the history of
// each object is linearizable. The rules are written here once more, from the documents and not from the product.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/anishathalye/porcupine"
)

type input struct {
	Kind   string // lease, end, share or close
	Of     string // the budget, limit or month
	Amount int64  // of the budget or limit
	Holder string
	Serial int64
	Least  int64
	Target int64
	Spent  int64
	Over   bool
}

type output struct {
	Known  bool
	Leased int64
	Left   int64
	Did    string // of an end or a close
}

type line struct {
	input
	Client int
	Call   int64
	Return int64
	Output *output
}

type held struct {
	Leased, Spent, Serial int64
	IsOver                bool
}

// gone is what a lease takes from everybody else.
func (lease held) gone() int64 {
	if lease.IsOver {
		return lease.Spent
	}
	return max(lease.Leased, lease.Spent)
}

// state is what stands of one budget, limit or month. It is kept as text, so that equal states are equal.
type state struct {
	Held   map[string]held
	Closed string
}

func read(text interface{}) state {
	found := state{Held: map[string]held{}}
	if err := json.Unmarshal([]byte(text.(string)), &found); err != nil {
		panic(err)
	}
	return found
}

func write(changed state) string {
	text, err := json.Marshal(changed)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// granted is a holder's new total: less where it gives back, more where the rest reaches and it helps.
func granted(before, free, spent, least, target int64) int64 {
	if target <= before {
		return max(min(before, target), spent)
	}
	needed := max(least-before, 0)
	more := min(target-before, max(needed, free/4), free)
	if more >= max(needed, 1) {
		return before + more
	}
	return before
}

func step(before, asked, answered interface{}) (bool, interface{}) {
	now, in, out := read(before), asked.(input), answered.(output)
	var expected output
	switch in.Kind {
	case "lease":
		expected = lease(&now, in)
	case "share":
		expected = share(&now, in)
	case "end":
		expected = end(&now, in)
	case "close":
		expected = close_(&now, in)
	default:
		panic(in.Kind)
	}
	expected.Known = true
	return !out.Known || out == expected, write(now)
}

func lease(now *state, in input) output {
	free := in.Amount
	for _, other := range now.Held {
		free -= other.gone()
	}
	before, has := now.Held[in.Holder]
	if has && (in.Serial <= before.Serial || before.IsOver) {
		return output{Leased: before.Leased, Left: max(free, 0)}
	}
	after := held{Spent: in.Spent, Serial: in.Serial, IsOver: in.Over}
	target := in.Target
	if in.Over {
		target = 0
	}
	after.Leased = granted(before.Leased, free, in.Spent, in.Least, target)
	now.Held[in.Holder] = after
	return output{Leased: after.Leased, Left: max(free+before.gone()-after.gone(), 0)}
}

// share is of a limit: within a minute nothing of it comes back but what was not used.
func share(now *state, in input) output {
	free := in.Amount
	for _, other := range now.Held {
		free -= other.Leased
	}
	before := now.Held[in.Holder]
	if in.Serial <= before.Serial {
		return output{Leased: before.Leased, Left: max(free, 0)}
	}
	target := in.Target
	if in.Over {
		target = 0
	}
	leased := granted(before.Leased, free, in.Spent, in.Least, target)
	now.Held[in.Holder] = held{Leased: leased, Serial: in.Serial}
	return output{Leased: leased, Left: max(free+before.Leased-leased, 0)}
}

// end is said of a process that died, by somebody else: what it spent is gone, and it is granted nothing more.
func end(now *state, in input) output {
	lease, has := now.Held[in.Holder]
	if !has || lease.IsOver {
		return output{Did: "nothing"}
	}
	lease.Spent, lease.IsOver = in.Spent, true
	now.Held[in.Holder] = lease
	return output{Did: "ended"}
}

func close_(now *state, in input) output {
	switch now.Closed {
	case "":
		now.Closed = in.Holder
		return output{Did: "won"}
	case in.Holder:
		return output{Did: "same"}
	}
	return output{Did: "refused"}
}

func main() {
	histories := map[string][]porcupine.Operation{}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var said line
		if err := json.Unmarshal(lines.Bytes(), &said); err != nil {
			panic(err)
		}
		operation := porcupine.Operation{ClientId: said.Client, Input: said.input, Call: said.Call, Return: said.Return}
		if said.Output == nil {
			operation.Output, operation.Return = output{}, math.MaxInt64
		} else {
			said.Output.Known = true
			operation.Output = *said.Output
		}
		of := said.Of
		histories[of] = append(histories[of], operation)
	}
	model := porcupine.Model{
		Init: func() interface{} { return write(state{Held: map[string]held{}}) },
		Step: step,
	}
	verdicts := map[string]string{}
	for of, history := range histories {
		verdicts[of] = string(porcupine.CheckOperationsTimeout(model, history, time.Minute))
	}
	said, err := json.Marshal(verdicts)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(said))
}
