"""Text around a translator: sentences in, sentences out, everything else kept byte for byte."""
