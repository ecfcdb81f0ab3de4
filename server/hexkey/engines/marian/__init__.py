"""Marian student models (Firefox Translations, Bergamot) on onnxruntime, in int8.

`binary`, `shortlist` and `vocabulary` read the files; `architecture` says what kind of model they
hold; `graph`, `layers`, `encoder` and `decoder` make two ONNX graphs of it; `translator` runs them.
"""
