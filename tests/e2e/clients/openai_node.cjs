// What a program on Node sees of the server at argv[2], as one JSON object.
const OpenAI = require("openai");

const client = new OpenAI({ baseURL: `${process.argv[2]}/v1`, apiKey: "none", maxRetries: 0 });
const ask = {
  model: "chat",
  messages: [{ role: "user", content: "What is the capital of France?" }],
  temperature: 0,
};

async function refusal(call) {
  try {
    await call();
  } catch (error) {
    return { name: error.constructor.name, status: error.status, message: error.message };
  }
}

async function main() {
  const seen = {};
  seen.chat = (await client.chat.completions.create(ask)).choices[0].message.content;
  seen.streamed = "";
  const stream = await client.chat.completions.create({
    ...ask,
    stream: true,
    stream_options: { include_usage: true },
  });
  for await (const chunk of stream) {
    seen.streamed += chunk.choices[0]?.delta?.content ?? "";
    seen.usage = chunk.usage ?? undefined;
  }
  const completion = { model: "auto", prompt: "The capital of France is", max_tokens: 4, temperature: 0 };
  seen.completion = (await client.completions.create(completion)).choices[0].text;
  const response = { model: "chat", input: ask.messages[0].content, temperature: 0 };
  seen.response = (await client.responses.create(response)).output_text;
  seen.events = [];
  for await (const event of await client.responses.create({ ...response, stream: true }))
    seen.events.push(event.type);
  seen.models = [];
  for await (const model of client.models.list()) seen.models.push(model.id);
  seen.missing = await refusal(() => client.completions.create({ model: "gpt-9", prompt: "x" }));
  seen.wrong = await refusal(() => client.chat.completions.create({ ...ask, temperature: 9 }));
  console.log(JSON.stringify(seen));
}

main();
