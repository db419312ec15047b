"""A malformed agreement: every problem at once, each with file, line and what is wrong; nothing half-loaded.

A case says which lines of the small agreement (`small_agreement.py`) are written otherwise, and then every problem that
must be told, no more and no fewer, in order of file and line. ⏎ is a line end within what is written there, ⟨U+0000⟩ a
character that cannot be shown here.
"""

import re
import sys
from typing import NamedTuple

import pytest
from small_agreement import AGREEMENT, DOCUMENTS, with_edits

from clauseway.agreement import read_agreement
from clauseway.values import InvalidInput, Problem

TABLE = r"""
# YAML

a bracket left open
    A1.md:16 written: party: [maker
    told: A1.md:16 not valid YAML

a colon too many
    A1.md:16 written: party: maker: x
    told: A1.md:16 not valid YAML

a key twice
    A1.md:17 written: party: buyer
    told: A1.md:14 'products' is missing
    told: A1.md:17 'party' stands twice

a list for a term
    A1.md:14 written: - a
    A1.md:15 written:
    A1.md:16 written:
    A1.md:17 written:
    A1.md:18 written:
    told: A1.md:14 the block is not a mapping

nothing in a block
    A1.md:14 written:
    A1.md:15 written:
    A1.md:16 written:
    A1.md:17 written:
    A1.md:18 written:
    told: A1.md:14 the block is empty

two documents
    A1.md:16 written: --- ⏎ party: maker
    told: A1.md:16 a second YAML document

a list for a key
    A1.md:16 written: [a]: maker
    told: A1.md:16 a key is not a text

a tag
    A1.md:16 written: party: !!str maker
    told: A1.md:16 tag:yaml.org,2002:str is a tag

an anchor
    A1.md:17 written: products: &a [api]
    told: A1.md:17 &a is an anchor

an alias
    A1.md:17 written: products: *a
    told: A1.md:17 *a is an alias

an alias to itself
    A1.md:17 written: products: &a [*a]
    told: A1.md:17 &a is an anchor

a merge
    A1.md:16 written: party: maker ⏎ <<: {party: maker}
    told: A1.md:17 unknown key '<<'

a block left open
    A1.md:32 written:
    told: A1.md:25 the block has no end

the last block left open
    A1.md:47 written:
    told: A1.md:38 the block has no end

NUL by an escape
    A1.md:16 written: party: "\0"
    told: A1.md:16 an escape names a control character

a tab for spaces
    A1.md:16 written: ⟨U+0009⟩party: maker
    told: A1.md:16 not valid YAML

nested too deep
    A1.md:16 written: party: [[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]
    told: A1.md:16 nested too deep

NUL in a term
    A1.md:16 written: party: ma⟨U+0000⟩ker
    told: A1.md:16 the character U+0000

NUL in prose
    A1.md:11 written: The ⟨U+0000⟩ maker.
    told: A1.md:11 the character U+0000

a line separator
    A1.md:11 written: The ⟨U+2028⟩ maker.
    told: A1.md:11 the character U+2028

a lone surrogate
    A1.md:11 written: The ⟨U+D800⟩ maker.
    told: A1.md:11 the character U+D800

# Keys and values

unknown kind
    A1.md:15 written: kind: ownrship
    told: A1.md:15 unknown kind of term 'ownrship'

no kind
    A1.md:15 written:
    told: A1.md:14 'kind' is missing

a list for a kind
    A1.md:15 written: kind: [ownership]
    told: A1.md:15 'kind' does not fit

unknown key
    A1.md:16 written: partys: maker
    told: A1.md:14 'party' is missing
    told: A1.md:16 unknown key 'partys'

unknown key within
    A1.md:30 written: only: {clouds: [other], cloud: [own]}
    told: A1.md:30 unknown key 'cloud'

unknown key in a carve-out
    A1.md:31 written: source: [T] ⏎ except: ⏎   - {segmnts: [trade]}
    told: A1.md:33 unknown key 'segmnts'

a key of a part, beside it
    A1.md:44 written: wholesale: true ⏎ base: {sellers: [maker]}
    told: A1.md:44 'wholesale' has no place here

unknown key in a base
    A1.md:44 written: base: {sellers: [maker], wholsale: true}
    told: A1.md:44 unknown key 'wholsale'

missing key
    A1.md:17 written:
    told: A1.md:14 'products' is missing

missing key within
    A1.md:44 written: base: {wholesale: true}
    told: A1.md:44 'sellers' is missing

no id
    A1.md:14 written:
    told: A1.md:15 'id' is missing

an empty id
    A1.md:14 written: id:
    told: A1.md:14 'id' does not fit

no source
    A1.md:18 written: source: []
    told: A1.md:18 'source' does not fit

a text for a list
    A1.md:17 written: products: api
    told: A1.md:17 'products' does not fit

a list for a text
    A1.md:16 written: party: [maker]
    told: A1.md:16 'party' does not fit

a text for a mapping
    A1.md:30 written: only: other
    told: A1.md:30 'only' does not fit

a mapping for a list
    A1.md:31 written: source: [T] ⏎ except: {segments: [trade]}
    told: A1.md:32 'except' does not fit

neither true nor false
    A1.md:44 written: base: {sellers: [maker], wholesale: perhaps}
    told: A1.md:44 'wholesale' does not fit

# Days

no day
    A1.md:45 written: through: 31.12.2030
    told: A1.md:45 'through' does not fit

a day that is none
    A1.md:45 written: through: 2030-02-30
    told: A1.md:45 'through' does not fit

a day for an event
    A1.md:45 written: from: 2027-01-01
    told: A1.md:45 'from' names the day 2027-01-01

until no day
    A1.md:45 written: until: mileston
    told: A1.md:45 unknown day or event 'mileston'

ends before it begins
    A1.md:45 written: through: 2023-12-31
    told: A1.md:45 A1.share ends before it begins

until its first day
    A1.md:45 written: until: 2024-01-01
    told: A1.md:45 A1.share ends before it begins

both ends too early
    A1.md:45 written: until: 2023-01-01 ⏎ through: 2023-02-01
    told: A1.md:45 A1.share ends before it begins
    told: A1.md:46 A1.share ends on two days
    told: A1.md:46 A1.share ends before it begins

two days
    A1.md:45 written: until: 2030-01-01 ⏎ through: 2031-12-31
    told: A1.md:46 A1.share ends on two days

begins before its amendment
    A1.md:45 written: begins: 2023-01-01
    told: A1.md:45 A1.share begins before its amendment

effective is no day
    A1.md:5 written: effective: soon
    told: A1.md:5 'effective' does not fit

effective is empty
    A1.md:5 written: effective:
    told: A1.md:5 'effective' does not fit

recorded is no point
    A1.md:6 written: recorded: soon
    told: A1.md:6 recorded: 'soon' is neither a day nor an instant

recorded too early
    A1.md:6 written: recorded: 2023-12-31T23:59:59Z
    told: A1.md:6 recorded before it was announced

# Names

product
    A1.md:17 written: products: [api.chats]
    told: A1.md:17 unknown product 'api.chats'

product in a base
    A1.md:44 written: base: {sellers: [maker], excludes: [weights]}
    told: A1.md:44 unknown product 'weights'

cloud
    A1.md:30 written: only: {clouds: [third]}
    told: A1.md:30 unknown cloud 'third'

first cloud
    A2.md:27 written: first: third
    told: A2.md:27 unknown cloud 'third'

party
    A1.md:16 written: party: taker
    told: A1.md:16 unknown party 'taker'

payer and payee
    A1.md:41 written: payer: a
    A1.md:42 written: payee: b
    told: A1.md:41 unknown party 'a'
    told: A1.md:42 unknown party 'b'

party with a reserve
    A1.md:30 written: only: {parties: [taker]}
    told: A1.md:30 unknown party 'taker'

anyone owns nothing
    A1.md:16 written: party: anyone
    told: A1.md:16 unknown party 'anyone'

action
    A1.md:28 written: actions: [host]
    told: A1.md:28 unknown action 'host'

segment
    A1.md:31 written: source: [T] ⏎ segments: [trades]
    told: A1.md:32 unknown segment 'trades'

segment in a carve-out
    A1.md:31 written: source: [T] ⏎ except: [{segments: [trades]}]
    told: A1.md:32 unknown segment 'trades'

source
    A1.md:18 written: source: [T, U]
    told: A1.md:18 unknown source 'U'

source of a document
    A1.md:6 written: sources: [U]
    told: A1.md:6 unknown source 'U'

figure
    A1.md:43 written: rate: rates ⏎ cap: cap
    told: A1.md:43 unknown figure 'rates'
    told: A1.md:44 unknown figure 'cap'

numbers that are none
    A1.md:43 written: rate: 20 percent ⏎ cap: USD many
    told: A1.md:43 the number '20 percent' cannot be read
    told: A1.md:44 the number 'USD many' cannot be read

amounts in another currency
    A1.md:43 written: rate: rate ⏎ tiers: [{above: €1000, rate: 1 %}] ⏎ cap: EUR 400
    told: A1.md:44 the number '€1000' cannot be read
    told: A1.md:45 the number 'EUR 400' cannot be read

more than the whole
    A1.md:43 written: rate: 120 %
    told: A1.md:43 the number '120 %' cannot be read

tiers and floors that do not fit
    A1.md:43 written: rate: rate ⏎ tiers: [{above: 5, rate: 1 %}, {above: 5, rate: no}] ⏎ floors: [{amount: 1,per: day}]
    told: A1.md:44 unknown figure 'no'
    told: A1.md:44 A1.share has tiers out of order
    told: A1.md:45 unknown value of per 'day'

tiers without a rate
    A1.md:43 written: rate: rate ⏎ tiers: [{above: 5}]
    told: A1.md:44 'rate' is missing

two floors for one month
    A1.md:43 written: rate: rate ⏎ floors: [{amount: 1, per: month}, {amount: 2, per: month}]
    told: A1.md:44 A1.share has two floors for one period

payment, withholding and late usage that do not fit
    A1.md:43 written: rate: rate ⏎ payment: {every: week, due-days: -1} ⏎ withholding: tax ⏎ late: never
    told: A1.md:44 unknown value of every 'week'
    told: A1.md:44 A1.share is due before it is known
    told: A1.md:45 unknown figure 'tax'
    told: A1.md:46 unknown value of late 'never'

a payment that is no number of days
    A1.md:43 written: rate: rate ⏎ payment: {due-days: soon}
    told: A1.md:44 'due-days' does not fit

an opening without a cap
    A1.md:43 written: rate: rate ⏎ cap-opening: USD 5
    told: A1.md:44 A1.share counts toward no cap

a base of what is not defined
    A1.md:44 written: base: {sellers: [maker], products: [song], clouds: [moon]}
    told: A1.md:44 unknown product 'song'
    told: A1.md:44 unknown cloud 'moon'

reading
    A1.md:31 written: source: [T] ⏎ under: {R9: a}
    told: A1.md:32 unknown reading 'R9'

option
    A1.md:31 written: source: [T] ⏎ under: {R1: c}
    told: A1.md:32 unknown option of R1 'c'

reading of a change
    A2.md:16 written: source: [T] ⏎ under: {R9: a}
    told: A2.md:17 unknown reading 'R9'

reading of a choice
    A2.md:30 written: binds: {R9: {a: every-product}}
    told: A2.md:30 unknown reading 'R9'

a choice without an option
    A2.md:30 written: binds: {R1: {a: every-product}}
    told: A2.md:30 binds says nothing for R1=b

a choice with an option too many
    A2.md:30 written: binds: {R1: {a: every-product, b: every-product, c: every-product}}
    told: A2.md:30 unknown option of R1 'c'

a choice by two readings
    A2.md:30 written: binds: {R1: {a: every-product}, R2: {a: every-product}}
    told: A2.md:30 'binds' does not fit

a choice of nothing known
    A2.md:31 written: unless: it-rains
    told: A2.md:31 unknown value of unless 'it-rains'

only for nobody
    A1.md:30 written: only: {}
    told: A1.md:30 A1.only reserves nothing clear

only for two
    A1.md:30 written: only: {clouds: [other], parties: [maker]}
    told: A1.md:30 A1.only reserves nothing clear

# Clauses, blocks and front matter

a term under no clause
    A1.md:9 written:
    A1.md:11 written:
    told: A1.md:14 A1.own stands under no clause

a heading without a number
    A1.md:21 written: ## One cloud
    told: A1.md:21 the heading 'One cloud' has no number

a clause twice
    A1.md:21 written: ## 1.1 One cloud
    told: A1.md:21 clause 1.1 stands twice

unknown block
    A1.md:13 written: ```yaml trem
    told: A1.md:13 unknown block 'yaml trem'

a block of no kind
    A1.md:13 written: ```yaml
    told: A1.md:13 unknown block 'yaml'

definitions in an amendment
    A1.md:13 written: ```yaml definitions
    told: A1.md:13 unknown block 'yaml definitions'

no front matter
    A1.md:1 written:
    told: A1.md:1 no front matter

front matter without an end
    A1.md:7 written:
    told: A1.md:1 no front matter

a key of the front matter
    A1.md:4 written: anounced: 2024-01-01
    told: A1.md:1 'announced' is missing
    told: A1.md:4 unknown key 'anounced'

front matter that is no YAML
    A1.md:4 written: announced: [
    told: A1.md:4 not valid YAML

front matter that is a list
    A1.md:2 written: - a
    A1.md:3 written: - a
    A1.md:4 written: - a
    A1.md:5 written: - a
    A1.md:6 written: - a
    told: A1.md:2 the front matter is not a mapping

a blank title
    A1.md:3 written: title: " "
    told: A1.md:3 'title' does not fit

a title that is a list
    A1.md:3 written: title: [a]
    told: A1.md:3 'title' does not fit

# Between documents

an id twice in one
    A1.md:39 written: id: A1.own
    told: A1.md:39 'A1.own' stands twice

an id twice in two
    A2.md:24 written: id: A1.own
    told: A2.md:24 'A1.own' stands twice

a change named as a term
    A2.md:14 written: id: A1.own
    told: A2.md:14 'A1.own' stands twice

an amendment twice
    A2.md:2 written: id: A1
    told: A2.md:1 amendment 'A1' stands twice

one day, two amendments
    A2.md:4 written: announced: 2024-01-01
    A2.md:5 written: effective: 2024-01-01
    told: A2.md:1 two amendments were concluded on 2024-01-01

a change of nothing known
    A2.md:15 written: ends: ⏎   - A1.only ⏎   - A1.onyl
    told: A2.md:17 unknown earlier term 'A1.onyl'

a change of its own term
    A2.md:15 written: ends: [A2.first]
    told: A2.md:15 A2.ends changes 'A2.first' too early

a change of a later term
    A1.md:47 written: ``` ⏎  ⏎ ```yaml change ⏎ id: A1.ends ⏎ ends: [A2.first] ⏎ source: [T] ⏎ ```
    told: A1.md:51 A1.ends changes 'A2.first' too early

a change of nothing
    A2.md:15 written:
    told: A2.md:14 A2.ends changes nothing clear

a change both ways
    A2.md:15 written: ends: [A1.only] ⏎ sets-end: [A1.own] ⏎ until: milestone
    told: A2.md:14 A2.ends changes nothing clear

ends at once and later
    A2.md:15 written: ends: [A1.only] ⏎ until: milestone
    told: A2.md:16 A2.ends ends terms at once and later

sets no end
    A2.md:15 written: sets-end: [A1.only]
    told: A2.md:15 A2.ends sets no end

sets an end in the past
    A2.md:15 written: sets-end: [A1.only] ⏎ until: 2024-06-01
    told: A2.md:16 A2.ends rewrites the past

changes one term twice
    A2.md:15 written: ends: [A1.only, A1.only]
    told: A2.md:15 A2.ends changes 'A1.only' a second time

# Definitions

unknown key
    agreement.md:11 written: segmnts: [trade]
    told: agreement.md:11 unknown key 'segmnts'

a key twice in a block
    agreement.md:11 written: segments: [trade] ⏎ segments: [b]
    told: agreement.md:12 'segments' stands twice

a key twice in two blocks
    agreement.md:29 written: ``` ⏎  ⏎ ```yaml definitions ⏎ segments: [b] ⏎ ```
    told: agreement.md:32 'segments' is defined twice

a term among definitions
    agreement.md:29 written: ``` ⏎  ⏎ ```yaml term ⏎ id: A0.x ⏎ ```
    told: agreement.md:31 unknown block 'yaml term'

a block that is no YAML hides its names, once
    agreement.md:11 written: segments: [trade
    told: agreement.md:11 not valid YAML

a block that is no YAML hides its events, once
    agreement.md:11 written: segments: [trade
    A1.md:17 written: products: [api] ⏎ from: notice ⏎ until: notice
    told: agreement.md:11 not valid YAML

a text for a list of names
    agreement.md:9 written: parties: maker
    told: agreement.md:9 'parties' does not fit

a list for a mapping
    agreement.md:10 written: clouds: [own, other]
    told: agreement.md:10 'clouds' does not fit

a text for a record
    agreement.md:16 written:   chat-1: api.chat
    told: agreement.md:16 products: 'chat-1' does not fit

a list for a text
    agreement.md:8 written:   T: [a]
    told: agreement.md:8 sources: 'T' does not fit

unknown operator
    agreement.md:10 written: clouds: {own: maker, other: byer}
    told: agreement.md:10 unknown operator 'byer'

unknown class
    agreement.md:16 written:   chat-1: {class: chat}
    told: agreement.md:16 unknown class 'chat'

unknown wider class
    agreement.md:14 written:   api.chat: {within: apis}
    told: agreement.md:14 unknown class 'apis'

classes in a circle
    agreement.md:13 written:   api: {within: api.chat, actions: [serve]}
    told: agreement.md:13 class 'api' lies within itself

a class within itself
    agreement.md:13 written:   api: {within: api, actions: [serve]}
    told: agreement.md:13 class 'api' lies within itself

a product named as a class
    agreement.md:16 written:   api: {class: api.chat}
    told: agreement.md:16 'api' stands twice

a party named anyone
    agreement.md:9 written: parties: [maker, buyer, anyone]
    told: agreement.md:1 a party cannot be 'anyone'

missing rule
    agreement.md:20 written:
    told: agreement.md:1 the rule 'grant' is missing

unknown rule
    agreement.md:20 written:   grants: Others.
    told: agreement.md:1 the rule 'grant' is missing
    told: agreement.md:20 unknown rule 'grants'

unknown standing
    agreement.md:28 written:   rate: {says: It., value: 1 %, standing: our, source: [T]}
    told: agreement.md:28 unknown standing 'our'

unknown source
    agreement.md:28 written:   rate: {says: It., value: 1 %, standing: ours, source: [U]}
    told: agreement.md:28 unknown source 'U'

a reading without a choice
    agreement.md:24 written:   R1: {says: It., source: [T], options: []}
    A2.md:30 written: binds: every-product
    told: agreement.md:24 reading 'R1' leaves no choice

an option twice
    agreement.md:24 written:   R1: {says: It., source: [T], options: [a, b, a]}
    told: agreement.md:24 reading 'R1' leaves no choice

commentary from nowhere
    agreement.md:26 written:   K1: {says: A., source: [T], bears-on: grant, from: A7}
    told: agreement.md:26 unknown amendment 'A7'

# Several at once

several in several files
    A2.md:15 written: ends: [A1.onyl]
    A2.md:31 written: unless: it-rains
    A1.md:44 written: base: {sellers: [nobody], whole: true}
    A1.md:16 written: party: taker
    A1.md:30 written: only: [other
    agreement.md:28 written:   rate: {says: It., value: 1 %, standing: our, source: [U]}
    agreement.md:10 written: clouds: {own: maker, other: byer}
    told: A1.md:16 unknown party 'taker'
    told: A1.md:30 not valid YAML
    told: A1.md:44 unknown key 'whole'
    told: A2.md:15 unknown earlier term 'A1.onyl'
    told: A2.md:31 unknown value of unless 'it-rains'
    told: agreement.md:10 unknown operator 'byer'
    told: agreement.md:28 unknown source 'U'
    told: agreement.md:28 unknown standing 'our'

several in one term
    A1.md:14 written: id: ⏎ kind: ownrship ⏎ partys: 1
    A1.md:15 written:
    A1.md:18 written: source: [U]
    told: A1.md:14 'id' does not fit
    told: A1.md:15 unknown kind of term 'ownrship'

a change names a term that has a mistake of its own: told once, at the term
    A1.md:28 written: actions: serve
    told: A1.md:28 'actions' does not fit

a change names a term in a block that is no YAML: told once, at the block
    A1.md:28 written: actions: [serve
    told: A1.md:28 not valid YAML

# Terms that would say nothing

a share owed to oneself
    A1.md:42 written: payee: maker
    told: A1.md:42 A1.share is between maker and itself

a licence to oneself
    A1.md:15 written: kind: licence ⏎ licensor: maker
    A1.md:16 written: licensee: maker
    told: A1.md:17 A1.own is between maker and itself

a promise to oneself
    A1.md:15 written: kind: commitment ⏎ about: A million.
    A1.md:17 written: to: maker
    told: A1.md:18 A1.own is between maker and itself

a stake in oneself
    A1.md:15 written: kind: stake ⏎ about: A tenth.
    A1.md:16 written: holder: maker
    A1.md:17 written: of: maker
    told: A1.md:18 A1.own is between maker and itself

an undertaking of nobody
    A1.md:15 written: kind: undertaking
    A1.md:16 written:
    A1.md:17 written: parties: []
    told: A1.md:17 'parties' does not fit

a commitment to nothing
    A1.md:15 written: kind: commitment ⏎ to: buyer
    A1.md:17 written: about: ""
    told: A1.md:18 'about' does not fit

a commitment to a space
    A1.md:15 written: kind: commitment ⏎ to: buyer
    A1.md:17 written: about: " "
    told: A1.md:18 'about' does not fit

a stake that is left blank
    A1.md:15 written: kind: stake ⏎ of: buyer
    A1.md:16 written: holder: maker
    A1.md:17 written: about:
    told: A1.md:18 'about' does not fit

a product named twice
    A1.md:17 written: products: ⏎   - api ⏎   - chat-1 ⏎   - api
    told: A1.md:20 'api' stands twice in 'products'

an action named twice
    A1.md:28 written: actions: [serve, serve]
    told: A1.md:28 'serve' stands twice in 'actions'

a seller of a base named twice
    A1.md:44 written: base: {sellers: [maker, maker]}
    told: A1.md:44 'maker' stands twice in 'sellers'

a source cited twice
    A1.md:18 written: source: [T, T]
    told: A1.md:18 'T' stands twice in 'source'

an amendment rescinded twice
    A2.md:5 written: effective: 2023-06-01
    A2.md:15 written: rescinds: [A1, A1]
    told: A2.md:15 'A1' stands twice in 'rescinds'

the same carve-out twice
    A1.md:31 written: source: [T] ⏎ except:
    A1.md:32 written:   - {products: [api, chat-1]} ⏎   - {segments: [trade]} ⏎   - {products: [chat-1, api]} ⏎ ```
    told: A1.md:35 the same stands twice in 'except'

a party defined twice
    agreement.md:9 written: parties: [maker, buyer, maker]
    told: agreement.md:9 'maker' stands twice in 'parties'

an action of a class twice
    agreement.md:13 written:   api: {actions: [serve, sell, serve]}
    told: agreement.md:13 'serve' stands twice in 'actions'

regions that name none
    A1.md:30 written: only: {clouds: [other]} ⏎ regions: []
    told: A1.md:31 'regions' of A1.only is empty

a carve-out whose clouds name none
    A1.md:30 written: only: {clouds: [other]} ⏎ except: [{products: [chat-1], clouds: []}]
    told: A1.md:31 'clouds' of A1.only is empty

a licence that carries nothing
    A1.md:15 written: kind: licence ⏎ licensor: maker
    A1.md:16 written: licensee: buyer ⏎ carries: []
    told: A1.md:18 'carries' of A1.own is empty

a context whose parties name none
    A1.md:15 written: kind: context ⏎ parties: []
    A1.md:16 written:
    A1.md:17 written:
    told: A1.md:16 'parties' of A1.own is empty

an exclusivity that keeps a cloud, and of parties none
    A1.md:30 written: only: {clouds: [other], parties: []}
    told: A1.md:30 'parties' of A1.only is empty

an exclusivity that keeps a cloud, and of licensees none
    A1.md:30 written: only: {clouds: [other], licensees: []}
    told: A1.md:30 'licensees' of A1.only is empty

a carve-out of no actions and of no products
    A1.md:30 written: only: {clouds: [other]} ⏎ except: [{actions: [], clouds: [own]}, {products: [], clouds: [own]}]
    told: A1.md:31 'actions' of A1.only is empty
    told: A1.md:31 'products' of A1.only is empty

a base of no products and no clouds that leaves nothing out
    A1.md:44 written: base: {sellers: [maker], products: [], clouds: [], excludes: []}
    told: A1.md:44 'products' of A1.share is empty
    told: A1.md:44 'clouds' of A1.share is empty
    told: A1.md:44 'excludes' of A1.share is empty

a wholesale of which no seller is excepted
    A1.md:44 written: base: {sellers: [], wholesale: true, wholesale-except: []}
    told: A1.md:44 'wholesale-except' of A1.share is empty

a cap that is spent from the beginning
    A1.md:43 written: rate: rate ⏎ cap: USD 5 million ⏎ cap-opening: USD 5 million
    told: A1.md:45 A1.share counts USD 5 million toward its cap from the beginning

a cap that was passed before
    A1.md:43 written: rate: rate ⏎ cap: USD 5 million ⏎ cap-opening: USD 9 million
    told: A1.md:45 A1.share counts USD 9 million toward its cap from the beginning

# Blocks that would vanish

a fence without yaml
    A1.md:13 written: ```term
    told: A1.md:13 '```term' does not open a block

a quoted term
    A1.md:13 written: > ```yaml term
    A1.md:14 written: > id: A1.own
    A1.md:15 written: > kind: ownership
    A1.md:16 written: > party: maker
    A1.md:17 written: > products: [api]
    A1.md:18 written: > source: [T]
    A1.md:19 written: > ```
    told: A1.md:13 '```yaml term' does not open a block

a quoted change
    A2.md:13 written: > ```yaml change
    A2.md:14 written: > id: A2.ends
    A2.md:15 written: > ends: [A1.only]
    A2.md:16 written: > source: [T]
    A2.md:17 written: > ```
    told: A2.md:13 '```yaml change' does not open a block

a term in an item of a list
    A1.md:13 written: - item ⏎  ⏎   ```yaml term
    A1.md:14 written:   id: A1.own
    A1.md:15 written:   kind: ownership
    A1.md:16 written:   party: maker
    A1.md:17 written:   products: [api]
    A1.md:18 written:   source: [T]
    A1.md:19 written:   ```
    told: A1.md:15 '```yaml term' does not open a block

a term that begins beside the sign of a list
    A1.md:13 written: 1. ```yaml term
    A1.md:14 written:    id: A1.own
    A1.md:15 written:    kind: ownership
    A1.md:16 written:    party: maker
    A1.md:17 written:    products: [api]
    A1.md:18 written:    source: [T]
    A1.md:19 written:    ```
    told: A1.md:13 '1. ```yaml term' does not open a block

a fence one space from the margin
    A1.md:13 written:  ```yaml term
    told: A1.md:13 '```yaml term' does not open a block

the short name of the language
    A1.md:13 written: ```yml term
    told: A1.md:13 '```yml term' does not open a block

the short name and no kind
    A1.md:13 written: ```yml
    told: A1.md:13 '```yml' does not open a block

capitals
    A1.md:13 written: ```YAML term
    told: A1.md:13 '```YAML term' does not open a block

tildes
    A1.md:13 written: ~~~yaml term
    A1.md:19 written: ~~~
    told: A1.md:13 '~~~yaml term' does not open a block

four backticks
    A1.md:13 written: ````yaml term
    A1.md:19 written: ````
    told: A1.md:13 '````yaml term' does not open a block

a space before the language
    A1.md:13 written: ``` yaml term
    told: A1.md:13 '``` yaml term' does not open a block

quoted YAML of no kind
    A1.md:11 written: The maker owns its products. ⏎  ⏎ > ```yaml ⏎ > a: b ⏎ > ```
    told: A1.md:13 '```yaml' does not open a block

a fence of another language
    A1.md:13 written: ```json term
    told: A1.md:13 '```json term' does not open a block

attributes for words
    A1.md:13 written: ``` {.yaml .term}
    told: A1.md:13 '``` {.yaml .term}' does not open a block

tildes without yaml
    A1.md:13 written: ~~~ term
    A1.md:19 written: ~~~
    told: A1.md:13 '~~~ term' does not open a block

a term in a fence that says nothing
    A1.md:13 written: ```
    told: A1.md:13 this looks like a term and is not read as one

a term in a fence of JSON
    A1.md:13 written: ```json
    A1.md:14 written: {"id": "A1.own", "kind": "ownership", "party": "maker"}
    A1.md:15 written:
    A1.md:16 written:
    A1.md:17 written:
    A1.md:18 written:
    told: A1.md:13 this looks like a term and is not read as one

an indented fence
    A1.md:13 written:     ```yaml term
    A1.md:14 written:     id: A1.own
    A1.md:15 written:     kind: ownership
    A1.md:16 written:     party: maker
    A1.md:17 written:     products: [api]
    A1.md:18 written:     source: [T]
    A1.md:19 written:     ```
    told: A1.md:13 '```yaml term' does not open a block

a term without a fence
    A1.md:13 written:
    A1.md:19 written:
    told: A1.md:14 this looks like a term and is not read as one

two backticks
    A1.md:13 written: ``yaml term
    A1.md:19 written: ``
    told: A1.md:13 '``yaml term' does not open a block

a fence in a comment
    A1.md:12 written: <!--
    A1.md:19 written: ``` ⏎ -->
    told: A1.md:13 '```yaml term' does not open a block

a fence in an example
    A1.md:13 written: ````markdown ⏎ ```yaml term
    A1.md:19 written: ``` ⏎ ````
    told: A1.md:14 '```yaml term' does not open a block

a change that is no block
    A1.md:13 written: ```yaml-change
    A1.md:14 written: id: A1.ends
    A1.md:15 written: ends: [A1.only]
    A1.md:16 written:
    A1.md:17 written:
    told: A1.md:13 unknown block 'yaml -change'

definitions that are no block
    agreement.md:6 written: ```definitions
    told: agreement.md:1 nothing is defined
    told: agreement.md:6 '```definitions' does not open a block

lists ten deep
    A1.md:12 written: - - - - - - - - - - - deep ⏎
    told: A1.md:12 a list or quotation more than 8 deep

# Characters and names that deceive

a character that reorders the text
    A1.md:11 written: The maker owns ⟨U+202E⟩its products.
    told: A1.md:11 the character U+202E

a character of no width
    A1.md:16 written: party: ma⟨U+200B⟩ker
    told: A1.md:16 the character U+200B

a soft hyphen
    A1.md:16 written: party: ma⟨U+00AD⟩ker
    told: A1.md:16 the character U+00AD

a character of no width by an escape
    A1.md:16 written: party: "ma\u200bker"
    told: A1.md:16 an escape names a control character

a name with a letter of another alphabet
    agreement.md:9 written: parties: [maker, buyer, m⟨U+0430⟩ker]
    told: agreement.md:9 the name 'mаker' has the character U+0430

names that differ in capitals alone
    agreement.md:9 written: parties: [maker, buyer, Maker]
    told: agreement.md:9 the names 'Maker' and 'maker' differ in capitals alone

a term with a letter of another alphabet
    A1.md:14 written: id: ⟨U+0410⟩1.own
    told: A1.md:14 the name 'А1.own' has the character U+0410
"""


class Case(NamedTuple):
    edits: list[tuple[str, int, str]]
    told: list[str]


def cases(table: str) -> dict[str, Case]:
    read: dict[str, Case] = {}
    heading = ""
    for paragraph in re.split(r"\n\n+", table.strip()):
        first, *lines = paragraph.split("\n")
        if first.startswith("# "):
            heading = first.removeprefix("# ")
        else:
            name = f"{heading}: {first}"
            assert name not in read, f"{name} stands twice"
            written = [match for line in lines if (match := re.match(r"    (.+):(\d+) written: ?(.*)", line))]
            results = [line.removeprefix("    told: ") for line in lines if line.startswith("    told: ")]
            assert len(written) + len(results) == len(lines), f"{name}: a line is neither"
            read[name] = Case([(match[1], int(match[2]), decoded(match[3])) for match in written], results)
    return read


def decoded(written: str) -> str:
    return re.sub(r"⟨U\+(.{4})⟩", lambda match: chr(int(match[1], 16)), written.replace(" ⏎ ", "\n"))


ALL = cases(TABLE)


def problems_of(documents: dict[str, str]) -> tuple[Problem, ...]:
    with pytest.raises(InvalidInput) as refused:
        read_agreement(documents)
    return refused.value.problems


def told(documents: dict[str, str]) -> list[str]:
    return [f"{problem.where}:{problem.line} {problem.what}" for problem in problems_of(documents)]


def test_the_small_agreement_has_no_mistake() -> None:
    assert [amendment.id for amendment in read_agreement(DOCUMENTS).amendments] == ["A1", "A2"]


@pytest.mark.parametrize("name", ALL)
def test_every_problem_is_told_with_its_place(name: str) -> None:
    assert told(with_edits(*ALL[name].edits)) == ALL[name].told


@pytest.mark.parametrize("name", ALL)
def test_every_problem_says_why_and_what_to_do(name: str) -> None:
    for problem in problems_of(with_edits(*ALL[name].edits)):
        assert problem.why
        assert problem.remedy[0].isupper(), problem
        assert problem.remedy.rstrip(")")[-1] in ".?", problem


# what is written | what the problem says to do
SUGGESTIONS = [
    ("A1.md", 15, "kind: ownrship", "Did you mean 'ownership'?"),
    ("A1.md", 44, "wholesale: true\nbase: {sellers: [maker]}", "Write it in 'base'."),
    ("A1.md", 17, "product: [api]", "Did you mean 'products'?"),
    ("A1.md", 17, "products: [api.chatt]", "Did you mean 'api.chat'?"),
    ("A1.md", 17, "products: [zzz]", "Define it in agreement.md, or write one of: api, api.chat, chat-1."),
    ("A1.md", 17, "products: api", "Write a list: products: [a, b]."),
    ("A1.md", 45, "through: soon", "Write a day as YYYY-MM-DD."),
    ("A2.md", 15, "ends: [A1.onyl]", "Did you mean 'A1.only'?"),
    ("A1.md", 17, "products: *api", "Write the value out, or quote it if it is a text that begins with *."),
]


@pytest.mark.parametrize(("document", "line", "written", "remedy"), SUGGESTIONS)
def test_a_problem_suggests_what_was_meant(document: str, line: int, written: str, remedy: str) -> None:
    assert remedy in [problem.remedy for problem in problems_of(with_edits((document, line, written)))]


# How an event comes about, beside a notice and a cure that are recorded · what is told of it
EVENTS = [
    (["e: {after: notice, days: 5, prevented-by: notice}"], "prevented-by: of the event 'e' is void"),
    (
        ["r: {after: notice, days: 3}", "e: {after: notice, days: 5, prevented-by: r}"],
        "prevented-by: of the event 'e' is void",
    ),
    (["e: {after: notice, days: 0, prevented-by: cure}"], "prevented-by: of the event 'e' is void"),
    (["e: {over-by: e}"], "the event 'e' cannot be understood"),
    (["e: {after: notice}"], "the event 'e' has no deadline"),
    (["e: {after: notice, days: 5, prevented-by: cure}"], ""),
    (["r: {after: notice, days: 9}", "e: {after: notice, days: 5, prevented-by: r}"], ""),
    (["e: {after: notice, days: 0}"], ""),
]


def with_events(events: list[str]) -> dict[str, str]:
    lines = ["notice: {}", "cure: {}", *events]
    said = "".join(f"\n  {line.replace('{', '{says: It., source: [T], ')}" for line in lines).replace(", }", "}")
    return with_edits(("agreement.md", 29, f"events:{said}\n```"))


@pytest.mark.parametrize(("events", "wanted"), EVENTS)
def test_an_event_that_could_never_come_about_or_never_be_prevented(events: list[str], wanted: str) -> None:
    written = with_events(events)
    problems = [problem.what for problem in problems_of(written)] if wanted else []
    assert problems == ([wanted] if wanted else [])
    if not wanted:
        read_agreement(written)


# How an event comes about · why it cannot be understood
UNCLEAR = [
    ("e: {after: notice, days: 5, on: 2025-01-01}", "it comes after an event and on a day"),
    ("e: {prevented-by: cure}", "prevented-by: has its effect on after: alone"),
    ("e: {extended-by: cure, days: 5}", "extended-by: puts off the day in on:"),
    ("e: {on: 2025-01-01, days: 5}", "days: counts from after:, or how long extended-by: puts off"),
    ("e: {on: 2025-01-01, extended-by: cure}", "days: counts from after:, or how long extended-by: puts off"),
    ("e: {over-by: e}", "it would be over as soon as it begins"),
    ("e: {after: notice, days: -1}", "days lies below zero"),
    ("e: {after: e, days: 1}", "nothing could ever bring it about: it waits for itself"),
]


@pytest.mark.parametrize(("event", "why"), UNCLEAR)
def test_an_event_that_cannot_be_understood_says_why(event: str, why: str) -> None:
    problems = problems_of(with_events([event]))
    assert [problem.why for problem in problems if problem.what == "the event 'e' cannot be understood"] == [why]


# Where a term stands as people show it, line by line · why it is none · what to do
SHOWN = [
    ("> {}", "it stands in a list or quotation", "Tell in words what was quoted."),
    ("- {}", "it stands in a list or quotation", "Tell in words what was quoted."),
    ("<!--\n{}", "it stands in a comment or other HTML", "Delete it."),
    ("~{}", "a block opens with three backticks at the margin", "Write ```yaml term"),
]


@pytest.mark.parametrize(("line", "why", "remedy"), SHOWN)
def test_a_term_that_is_shown_is_told_why_it_is_none(line: str, why: str, remedy: str) -> None:
    edited = with_edits(("A1.md", 13, line.format("```yaml term").replace("~```", "~~~")))
    problem = next(problem for problem in problems_of(edited) if problem.what.endswith("does not open a block"))
    assert (problem.why[: len(why)], problem.remedy[: len(remedy)]) == (why, remedy)


def test_a_folder_without_definitions() -> None:
    assert told({"A1.md": DOCUMENTS["A1.md"]}) == ["agreement.md:0 agreement.md is missing"]


def test_a_folder_without_amendments() -> None:
    assert told({"agreement.md": AGREEMENT}) == ["agreement.md:1 there is no amendment"]


def test_an_empty_amendment() -> None:
    assert told(DOCUMENTS | {"A3.md": ""}) == ["A3.md:1 no front matter"]


def test_empty_definitions_hide_all_names_and_say_so_once() -> None:
    assert told(DOCUMENTS | {"agreement.md": ""}) == [
        "agreement.md:1 no front matter",
        "agreement.md:1 nothing is defined",
    ]


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(lambda text: text.replace("\n", "\r\n"), id="CRLF"),
        pytest.param(lambda text: text.replace("\n", "\r"), id="CR"),
        pytest.param(lambda text: "\ufeff" + text, id="byte order mark"),
        pytest.param(lambda text: text.rstrip("\n"), id="no last line end"),
    ],
)
def test_how_a_file_is_saved_changes_nothing(written: object) -> None:
    assert callable(written)
    saved = read_agreement({name: written(text) for name, text in DOCUMENTS.items()})
    plain = read_agreement(DOCUMENTS)
    assert saved.amendments == plain.amendments
    assert saved.catalog == plain.catalog


# Inputs that could cost a reader its time or its stack, each in one block.
BOMBS = {
    "an alias bomb": ["a: &a [x, x]", *(f"k{n}: &k{n} [*k{n}, *k{n}]" for n in range(200))],
    "brackets": ["party: " + "[" * 50_000],
    "braces": ["party: " + "{a: " * 20_000],
    "indentation": ["party:", *(" " * n + "a:" for n in range(1, 1_000))],
    "dashes": ["party: ", "- " * 5_000 + "a"],
    "a long text": ["party: " + "x" * 1_000_000],
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_costs_no_more_than_the_length_of_its_text(bomb: str) -> None:
    """Work is counted in calls, which no load of the machine changes."""
    documents = with_edits(("A1.md", 16, "\n".join(BOMBS[bomb])))
    calls = [0]

    def count(_frame: object, event: str, _argument: object) -> None:
        calls[0] += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        lines = told(documents)
    finally:
        sys.setprofile(None)
    assert all(line.startswith("A1.md:") for line in lines)
    assert calls[0] < 200_000 + 60 * sum(map(len, documents.values()))
