// Vectors and speech of the server at argv[2], and an overload of the one at argv[3], as one JSON object.
const fs = require("fs");
const OpenAI = require("openai");

const client = new OpenAI({ baseURL: `${process.argv[2]}/v1`, apiKey: "none", maxRetries: 0 });
const busy = (maxRetries) =>
  new OpenAI({ baseURL: `${process.argv[3]}/v1`, apiKey: "none", maxRetries });

async function main() {
  const seen = {};
  const input = ["A dog sleeps.", "A cat sleeps."];
  // As floats and, when nothing is said, as base64, which the client unpacks.
  for (const encoding_format of ["float", undefined]) {
    const { data } = await client.embeddings.create({ model: "auto", input, encoding_format });
    seen[encoding_format ?? "packed"] = data.map((one) => one.embedding);
  }
  const file = () => fs.createReadStream("tests/data/speech.flac");
  seen.text = (await client.audio.transcriptions.create({ model: "auto", file: file() })).text;
  const verbose = { model: "auto", file: file(), response_format: "verbose_json" };
  seen.segments = (await client.audio.transcriptions.create(verbose)).segments.map((one) => one.text);
  seen.events = [];
  const streamed = { model: "auto", file: file(), stream: true };
  for await (const event of await client.audio.transcriptions.create(streamed))
    seen.events.push(event.type);

  const first = busy(0).completions.create({ model: "slow", prompt: "x", max_tokens: 100 });
  const taken = 'hexkey_requests_in_flight{model="slow"} 1.0';
  while (!(await (await fetch(`${process.argv[3]}/metrics`)).text()).includes(taken))
    await new Promise((resolve) => setTimeout(resolve, 20));
  const one = { model: "slow", prompt: "x", max_tokens: 1 };
  seen.refused = await busy(0).completions.create(one).catch((error) => ({
    status: error.status,
    after: error.headers.get("retry-after"),
  }));
  const begun = Date.now();
  seen.retried = (await busy(5).completions.create(one)).choices[0].text;
  seen.took_ms = Date.now() - begun;
  await first;
  console.log(JSON.stringify(seen));
}

main();
