"""``vllm bench serve`` without vLLM's command, which asks for a package named vllm.

That of vLLM's CPU build has another name. The arguments are those of ``vllm bench serve``.
"""

from __future__ import annotations

from vllm.benchmarks import serve
from vllm.utils.argparse_utils import FlexibleArgumentParser

if __name__ == "__main__":
    parser = FlexibleArgumentParser()
    serve.add_cli_args(parser)
    serve.main(parser.parse_args())
