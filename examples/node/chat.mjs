// Asks a question about a picture, streamed: node chat.mjs receipt.jpg "What is the total?"
import { readFile } from "node:fs/promises";
import OpenAI from "openai";

const [path, question = "合计金额是多少？"] = process.argv.slice(2);
if (!path) {
  console.error("usage: node chat.mjs PICTURE [QUESTION]");
  process.exit(2);
}

const client = new OpenAI({
  baseURL: process.env.VLPRO_URL ?? "http://127.0.0.1:8501/v1",
  apiKey: process.env.VLPRO_KEY ?? "none", // profile local takes any
});

const picture = (await readFile(path)).toString("base64"); // the service goes by content, not by the type named here
const stream = await client.chat.completions.create({
  model: "vlpro", // always the engine in use
  messages: [
    {
      role: "user",
      content: [
        { type: "text", text: question },
        { type: "image_url", image_url: { url: `data:image/png;base64,${picture}` } },
      ],
    },
  ],
  stream: true,
  stream_options: { include_usage: true },
});

for await (const chunk of stream) {
  process.stdout.write(chunk.choices[0]?.delta.content ?? "");
  if (chunk.usage) process.stdout.write(`\n(${chunk.usage.total_tokens} tokens)\n`);
}
