// model-server.test.ts: the included model, driven by the real AI SDK: whole trees of agents, streams, aborts, bad requests.

import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, type LanguageModel, stepCountIs, streamText, type ToolSet, tool } from 'ai';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { exampleResumes, loadAdverts, loadDocuments, type ResumeDocument } from '../src/documents.ts';
import type { Advert } from '../src/documents-schema.ts';
import { type ModelRequest, type ModelServer, type ModelServerOptions, startModelServer } from '../src/model-server.ts';
import { expectedOutputs } from '../src/planner-expect.ts';
import {
  delegateOf,
  delegateTools,
  depthOf,
  maxReplies,
  orchestratorOf,
  orchestratorTask,
  type Role,
  type SubTask,
  subTaskSchema,
  systemPrompt,
  type Task,
  taskMessage,
  toolsOf,
  type Workflow,
  workflows,
} from '../src/planner-roles.ts';
import { createTools, type StudioTools } from '../src/tools.ts';
import { readOutbox } from '../src/tools-files.ts';
import { type Delay, sleep } from '../src/tools-time.ts';

const noTime: Delay = async (_, signal) => signal?.throwIfAborted();
const never: Delay = (_, signal) => sleep(2 ** 30, signal);

let folder: string;
let documents: readonly ResumeDocument[];
let adverts: readonly Advert[];
const servers: ModelServer[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'studio-model-'));
  ({ documents } = await loadDocuments(exampleResumes));
  adverts = await loadAdverts();
});
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
  await rm(folder, { recursive: true, force: true });
});

async function serve(options: Partial<ModelServerOptions> = {}): Promise<{ server: ModelServer; model: LanguageModel }> {
  const server = await startModelServer({ seed: 1, delay: noTime, ...options });
  servers.push(server);
  const provider = createOpenAICompatible({ baseURL: server.url, name: 'studio', apiKey: 'none', includeUsage: true });
  return { server, model: provider('studio-1') };
}

function studioTools(): StudioTools {
  return createTools({
    documents,
    adverts,
    outputDir: join(folder, 'out'),
    outboxPath: join(folder, 'outbox.jsonl'),
    delay: noTime,
  });
}

interface Tally {
  readonly replies: number[];
  toolCalls: number;
}

/** An agent as people write it: its tools act, or run another agent. */
async function runAgent(
  model: LanguageModel,
  tools: StudioTools,
  role: Role,
  task: Task,
  tally: Tally,
  isStream = false,
): Promise<string> {
  const count = <Input, Output>(execute: (input: Input) => Promise<Output>) => {
    return (input: Input): Promise<Output> => {
      tally.toolCalls += 1;
      return execute(input);
    };
  };
  const own: ToolSet = {};
  for (const name of toolsOf(role)) {
    if (name in tools) {
      const { description, inputSchema, execute } = tools[name as keyof StudioTools] as StudioTools['read_document'];
      own[name] = tool({ description, inputSchema, execute: count((input) => execute(input)) });
    }
  }
  for (const name of delegateTools.filter((it) => toolsOf(role).includes(it))) {
    const { role: subRole, description } = delegateOf(name);
    const execute = count((input: SubTask) => runAgent(model, tools, subRole, input, tally));
    own[name] = tool({ description, inputSchema: subTaskSchema, execute });
  }
  const call = {
    model,
    tools: own,
    system: systemPrompt(role),
    prompt: taskMessage(role, task),
    stopWhen: stepCountIs(maxReplies),
  };
  if (isStream) {
    const stream = streamText(call);
    tally.replies.push((await stream.steps).length);
    return stream.text;
  }
  const result = await generateText(call);
  tally.replies.push(result.steps.length);
  return result.text;
}

async function runFleet(model: LanguageModel, only: readonly Workflow[] = workflows, isStream = false): Promise<Tally> {
  const tally: Tally = { replies: [], toolCalls: 0 };
  const tools = studioTools();
  const runs = documents.flatMap((document) =>
    only.map((workflow) =>
      runAgent(model, tools, orchestratorOf(workflow), orchestratorTask(document, adverts), tally, isStream),
    ),
  );
  for (const text of await Promise.all(runs)) expect(text).toMatch(/^Report:/);
  return tally;
}

async function outputs(): Promise<string[]> {
  const entries = await readdir(join(folder, 'out'), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath.slice(folder.length + 5)}/${entry.name}`)
    .sort();
}

async function expectComplete(seed: number): Promise<void> {
  const expected = expectedOutputs(seed, documents, adverts);
  expect(await outputs()).toEqual([...expected.drafts, ...expected.scores].sort());
  expect(
    readOutbox(join(folder, 'outbox.jsonl'))
      .map(({ letter }) => letter)
      .sort(),
  ).toEqual(expected.letters);
}

describe('a fleet on the included model', () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 424_242, -1])(
    'with seed %i leaves every draft and score, and each letter exactly once',
    { timeout: 60_000 },
    async (seed) => {
      const { server, model } = await serve({ seed });
      const tally = await runFleet(model);
      await expectComplete(seed);
      const expected = expectedOutputs(seed, documents, adverts);
      expect(tally.replies).toHaveLength(expected.sessions);
      expect(Math.max(...tally.replies)).toBeLessThanOrEqual(maxReplies);
      expect(tally.toolCalls).toBe(expected.toolCalls);
      expect(server.stats).toEqual({ requests: expected.replies, aborted: 0, streamed: 0, inFlight: 0 });
    },
  );

  test('is three deep in every workflow', { timeout: 60_000 }, async () => {
    const depths = new Map<Role | undefined, number>();
    const seen = new Set<string | undefined>();
    const onRequest = ({ role, documentId }: ModelRequest): void => {
      depths.set(role, role === undefined ? 0 : depthOf(role));
      seen.add(documentId);
    };
    const { model } = await serve({ onRequest });
    await runFleet(model);
    expect(seen).toEqual(new Set(documents.map(({ id }) => id)));
    expect(new Set(depths.values())).toEqual(new Set([1, 2, 3]));
    expect(depths.size).toBe(8);
  });

  test('writes the same words whatever the order its requests arrive in', { timeout: 60_000 }, async () => {
    const read = async (): Promise<string[]> => {
      const files = await outputs();
      return Promise.all(files.map((file) => readFile(join(folder, 'out', file), 'utf8')));
    };
    await runFleet((await serve({ seed: 5 })).model);
    const first = await read();
    await rm(folder, { recursive: true });
    let replies = 0;
    const jumbled: Delay = (_, signal) => {
      replies += 1;
      return sleep((replies * 7) % 11, signal);
    };
    await runFleet((await serve({ seed: 5, delay: jumbled })).model);
    expect(await read()).toEqual(first);
  });

  test('streams the same work, with usage', { timeout: 60_000 }, async () => {
    const { server, model } = await serve({ seed: 3 });
    await runFleet(model, workflows, true);
    await expectComplete(3);
    expect(server.stats.streamed).toBeGreaterThanOrEqual(documents.length * workflows.length * 3);
  });
});

describe('one reply', () => {
  const role = 'fact-checker';
  const call = (model: LanguageModel) => ({
    model,
    system: systemPrompt(role),
    prompt: taskMessage(role, { documentId: 'r-ann', claim: 'Claim 1: wound care' }),
    tools: { read_document: tool({ inputSchema: subTaskSchema, execute: async () => 'not looked at' }) },
    maxRetries: 0,
  });

  test('is the same streamed or whole, tokens included', async () => {
    const { model } = await serve();
    const whole = await generateText(call(model));
    const stream = streamText(call(model));
    expect(await stream.toolCalls).toEqual(whole.toolCalls);
    expect(await stream.text).toBe(whole.text);
    const { inputTokens, outputTokens } = await stream.usage;
    expect({ inputTokens, outputTokens }).toEqual({
      inputTokens: whole.usage.inputTokens,
      outputTokens: whole.usage.outputTokens,
    });
    expect(inputTokens).toBeGreaterThan(50);
    expect(outputTokens).toBeGreaterThan(5);
  });

  test('takes 150 to 400 ms of model time, the same for the same conversation', async () => {
    const waited: number[] = [];
    const { model } = await serve({ delay: async (ms) => void waited.push(ms) });
    await generateText(call(model));
    await generateText(call(model));
    expect(waited).toHaveLength(2);
    expect(waited[0]).toBe(waited[1]);
    expect(waited[0]).toBeGreaterThanOrEqual(150);
    expect(waited[0]).toBeLessThanOrEqual(400);
    waited.length = 0;
    await streamText(call(model)).consumeStream();
    expect(waited.length).toBeGreaterThan(3);
    expect(waited.reduce((sum, ms) => sum + ms, 0)).toBeLessThanOrEqual(401);
  });

  test('goes on after a tool error, tries once more, and then gives up with a report of it', async () => {
    const { server, model } = await serve();
    const execute = async (): Promise<string> => {
      throw new Error('disk on fire');
    };
    const tools = { read_document: tool({ inputSchema: subTaskSchema, execute }) };
    const { steps, text } = await generateText({ ...call(model), tools, stopWhen: stepCountIs(50) });
    expect(steps).toHaveLength(3);
    expect(text).toMatch(/could not finish: read_document/);
    expect(server.stats.requests).toBe(3);
  });

  test('never asks for a letter to be sent again, even after an error', { timeout: 20_000 }, async () => {
    const { model } = await serve();
    const tools = studioTools();
    let sends = 0;
    const send_letter = {
      ...tools.send_letter,
      execute: async (): Promise<never> => {
        sends += 1;
        throw new Error('no answer');
      },
    };
    const tally: Tally = { replies: [], toolCalls: 0 };
    const document = documents.find(({ id }) => id === 'r-ann')!;
    const one = adverts.slice(0, 1);
    const text = await runAgent(
      model,
      { ...tools, send_letter },
      orchestratorOf('cover-letter-draft'),
      orchestratorTask(document, one),
      tally,
    );
    expect(sends).toBe(1);
    expect(text).toContain('not known to be sent');
  });
});

describe('a client that hangs up', () => {
  test.each(['whole', 'streamed'])('stops a %s reply on the server, which counts it', async (kind) => {
    const abort = new AbortController();
    let started = (): void => undefined;
    let ended = (_: 'completed' | 'aborted'): void => undefined;
    const start = new Promise<void>((resolve) => (started = resolve));
    const end = new Promise<'completed' | 'aborted'>((resolve) => (ended = resolve));
    const { server, model } = await serve({ delay: never, onRequest: () => started(), onEnd: (_, how) => ended(how) });
    const call = { model, prompt: 'hello', abortSignal: abort.signal, maxRetries: 0 };
    const answer =
      kind === 'whole'
        ? generateText(call).then(
            () => 'answered',
            () => 'rejected',
          )
        : streamText(call).consumeStream();
    await start;
    expect(server.stats.inFlight).toBe(1);
    abort.abort();
    expect(await end).toBe('aborted');
    await answer;
    expect(server.stats).toMatchObject({ requests: 1, aborted: 1, inFlight: 0 });
  });

  test('does not keep the server from closing, nor does one that waits', async () => {
    let started = (): void => undefined;
    const start = new Promise<void>((resolve) => (started = resolve));
    const { server, model } = await serve({ delay: never, onRequest: () => started() });
    const answer = generateText({ model, prompt: 'hello', maxRetries: 0 }).then(
      () => 'answered',
      () => 'rejected',
    );
    await start;
    await server.close();
    await server.close();
    expect(await answer).toBe('rejected');
    expect(server.stats).toMatchObject({ aborted: 1, inFlight: 0 });
    await expect(fetch(`${server.url}/models`)).rejects.toThrow();
  });
});

describe('the protocol', () => {
  const post = (server: ModelServer, body: string): Promise<Response> =>
    fetch(`${server.url}/chat/completions`, { method: 'POST', body });

  test('answers a bad request with an error in the shape clients know', async () => {
    const { server } = await serve();
    const bad = ['', 'null', '{}', '{"model":"m","messages":[]}', '{"model":"m","messages":[{"role":"robot","content":"x"}]}'];
    for (const body of bad) {
      const response = await post(server, body);
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({
        error: { type: 'invalid_request_error', message: expect.any(String), code: 'invalid_request' },
      });
    }
    const orphan = await post(server, '{"model":"m","messages":[{"role":"tool","content":"x"}]}');
    expect(await orphan.text()).toContain('a tool message needs tool_call_id');
    expect(server.stats.requests).toBe(0);
  });

  test('answers 404, 405 and 413 where they belong, and lists its model', async () => {
    const { server } = await serve();
    expect((await fetch(`${server.url}/embeddings`, { method: 'POST', body: '{}' })).status).toBe(404);
    expect((await fetch(`${server.url}/chat/completions`)).status).toBe(405);
    expect((await post(server, 'x'.repeat(8_388_609))).status).toBe(413);
    expect(await (await fetch(`${server.url}/models`)).json()).toMatchObject({ object: 'list', data: [{ id: 'studio-1' }] });
  });

  test('answers a conversation it has no part in, and a hook that throws changes nothing', async () => {
    const seen: ModelRequest[] = [];
    const { server } = await serve({
      onRequest: (request) => {
        seen.push(request);
        throw new Error('hook');
      },
    });
    const response = await post(server, '{"model":"any","messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}');
    const body = await response.json();
    expect(body).toMatchObject({ model: 'any', choices: [{ finish_reason: 'stop', message: { role: 'assistant' } }] });
    expect(seen).toMatchObject([{ role: undefined, turn: 1, isStream: false }]);
  });

  test('ends a stream with the finish reason, the usage where asked for, and [DONE]', async () => {
    const { server } = await serve();
    const messages = [{ role: 'user', content: 'hi' }];
    const lines = async (stream_options: object | undefined): Promise<string[]> => {
      const response = await post(server, JSON.stringify({ model: 'm', messages, stream: true, stream_options }));
      expect(response.headers.get('content-type')).toBe('text/event-stream');
      return (await response.text())
        .trim()
        .split('\n\n')
        .map((line) => line.replace(/^data: /, ''));
    };
    const asked = await lines({ include_usage: true });
    expect(asked.at(-1)).toBe('[DONE]');
    expect(JSON.parse(asked.at(-2)!)).toMatchObject({ choices: [], usage: { prompt_tokens: expect.any(Number) } });
    expect(JSON.parse(asked.at(-3)!)).toMatchObject({ choices: [{ finish_reason: 'stop' }] });
    const unasked = await lines(undefined);
    expect(unasked.at(-1)).toBe('[DONE]');
    expect(JSON.parse(unasked.at(-2)!)).toMatchObject({ choices: [{ finish_reason: 'stop' }] });
  });
});

describe('any resume, however odd,', () => {
  test('gets plans of at most eight replies, with ids that no conversation repeats', { timeout: 20_000 }, async () => {
    const odd: ResumeDocument[] = [
      { id: 'empty', owner: 'u-0', file: 'empty.json', resume: {} },
      {
        id: 'fenced',
        owner: 'u-0',
        file: 'fenced.json',
        resume: { basics: { name: '```json\n{}\n```', summary: 'role: scorer' } },
      },
      { id: 'proto__', owner: 'u-0', file: 'p.json', resume: { skills: [{ name: '\u{1F9F5}'.repeat(2_000) }] } },
    ];
    documents = odd;
    for (const seed of [1, 2, 3]) {
      const { model } = await serve({ seed });
      const tally = await runFleet(model);
      expect(Math.max(...tally.replies)).toBeLessThanOrEqual(maxReplies);
    }
    const { model } = await serve();
    const role = orchestratorOf('batch-scoring');
    const own: ToolSet = {};
    for (const name of toolsOf(role))
      own[name] = tool({ inputSchema: subTaskSchema, execute: async () => ({ ok: true, text: '' }) });
    const prompt = taskMessage(role, orchestratorTask(odd[0]!, adverts));
    const { steps } = await generateText({ model, tools: own, system: systemPrompt(role), prompt, stopWhen: stepCountIs(50) });
    const ids = steps.flatMap((step) => step.toolCalls.map(({ toolCallId }) => toolCallId));
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.length).toBeGreaterThan(4);
  });
});
