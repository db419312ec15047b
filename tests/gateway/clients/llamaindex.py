"""LlamaIndex, unmodified, as `frameworks.py` does it."""

import json
import sys
import traceback

from llama_index.core.llms import ChatMessage
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai import OpenAI

URL, KEY, MODELS = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])


def llamaindex() -> None:
    model = OpenAI(model=MODELS["chat"], api_base=f"{URL}/v1", api_key=KEY, max_retries=0)
    asked = [ChatMessage(role="user", content="Which cloud is this?")]
    assert model.chat(asked).message.content
    assert "".join(part.delta or "" for part in model.stream_chat(asked))
    embedder = OpenAIEmbedding(model_name=MODELS["embedding"], api_base=f"{URL}/v1", api_key=KEY, max_retries=0)
    assert len(embedder.get_text_embedding_batch(["a", "b"])) == 2


try:
    llamaindex()
    print(json.dumps({"name": "LlamaIndex", "wrong": ""}), flush=True)
except Exception:
    print(json.dumps({"name": "LlamaIndex", "wrong": traceback.format_exc()[-1500:]}), flush=True)
