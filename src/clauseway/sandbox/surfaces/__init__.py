"""The answers that every cloud gives: chat, responses, embeddings, images, audio, files,
batches."""
