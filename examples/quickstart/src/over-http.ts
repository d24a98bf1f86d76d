// over-http.ts: level 3 over HTTP: two processes that nobody started from one another. The agent of one calls the other, which works
// for it as a sub-agent; a stop of the first reaches the second. Both run this file. Checks itself: exits non-zero when anything is off.

import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  acceptRequest,
  carryingFetch,
  createRuntime,
  defineKillSwitches,
  flagFile,
  flagFileControl,
  folderStore,
  newPathKey,
} from 'offswitch';
import { givenFolder } from './given.ts';
import { until } from './until.ts';

process.env.OFFSWITCH_PATH_KEYS ??= newPathKey();
const served = givenFolder();
const folder = served ?? mkdtempSync(join(tmpdir(), 'offswitch-over-http-'));
const switches = defineKillSwitches({
  global: { authorized: ['on-call'] },
  features: { newsletter: { authorized: ['on-call'] }, research: { authorized: ['on-call'] } },
  instance: { authorized: ['on-call'] },
});
const flags = join(folder, 'switches.flagd.json');
await flagFileControl(flags).provision(switches, { apply: true });
const runtime = await createRuntime({ switches, source: flagFile(flags), store: folderStore(join(folder, '.offswitch')) });
if (served === undefined) await call();
else await serve();

async function serve(): Promise<void> {
  const callModel = async (topic: string): Promise<void> => {
    process.send!(topic);
    await new Promise((resolve) => setTimeout(resolve, 5));
  };
  // #region serve
  const research = runtime.agent('research', async (session, topic: string) => {
    for (;;) await session.turn((turn) => turn.model('small', () => callModel(topic)));
  });
  // Request and Response: what most web frameworks of today speak.
  const handle = acceptRequest(
    (headers) => runtime.accept(headers),
    async (request, parent) => {
      const outcome = await research.run(await request.text(), { parent }); // a child of the session that called
      return Response.json(outcome.status === 'completed' ? outcome.result : outcome.status);
    },
    { onRefused: (error) => console.error(error.message) }, // why, which the caller is not told
  );
  // Only node:http has to be translated.
  const server = createServer(async (incoming, outgoing) => {
    try {
      const headers = incoming.headers as Record<string, string>;
      const body = Buffer.concat(await incoming.toArray());
      const url = `http://localhost${incoming.url}`; // never of the Host header: that may be anything
      const response = await handle(new Request(url, { method: 'POST', headers, body }));
      outgoing.writeHead(response.status, Object.fromEntries(response.headers)).end(await response.text());
    } catch (error) {
      console.error(error); // a caller that went away, an address that is none: thrown on, it would end this process
      outgoing.destroy();
    }
  });
  // #endregion
  server.requestTimeout = 0; // a sub-agent may rest for days
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  process.send!((server.address() as AddressInfo).port);
  await once(process, 'disconnect');
  server.close();
  server.closeAllConnections();
  await runtime.close();
}

/** What comes back for these bytes. `isLeft`: the caller goes away in the middle of its request. */
async function sent(port: number, text: string, { isLeft = false } = {}): Promise<string> {
  const socket = connect(port, '127.0.0.1', () => {
    socket.write(text, () => {
      if (isLeft) socket.resetAndDestroy();
    });
  });
  let answer = '';
  socket.on('data', (chunk) => {
    answer += String(chunk);
  });
  await once(socket, 'close');
  return answer;
}

async function call(): Promise<void> {
  const other = fork(fileURLToPath(import.meta.url), [folder]);
  const [port] = (await once(other, 'message')) as [number];
  const agents = `http://127.0.0.1:${port}`;
  const refused = await fetch(agents, { method: 'POST', body: 'newts' });
  assert.equal(refused.status, 401, 'a request without a path is refused');
  const strange = 'POST / HTTP/1.1\r\nHost: [\r\nConnection: close\r\nContent-Length: 5\r\n\r\n';
  assert.match(await sent(port, `${strange}newts`), / 401 /, 'whatever its Host header says');
  assert.equal(await sent(port, `${strange.replace('/', '*:x')}newts`), '', 'an address that is none has no answer');
  await sent(port, strange, { isLeft: true });
  assert.match(await sent(port, `${strange}newts`), / 401 /, 'and the server is there still, for the next');
  let calls = 0;
  other.on('message', () => calls++);

  // #region call
  const newsletter = runtime.agent('newsletter', (session) => {
    const post = carryingFetch(() => session.carry(), {
      to: (url) => url.origin === agents, // nobody else may see the path
      asksAgain: true, // fetch gives up after five minutes, and a sub-agent may rest for days
    });
    return session.turn((turn) =>
      turn.tool(
        'research',
        { topic: 'newts' },
        async ({ topic }, { signal }) => {
          const response = await post(agents, { method: 'POST', body: topic, signal });
          if (!response.ok) throw new Error(await response.text()); // a refusal is an answer like any other, to fetch
          return response.json();
        },
        { delegates: true }, // it only starts other governed work: after a crash it is called again, and finds the same child
      ),
    );
  });
  // #endregion
  const run = newsletter.start(undefined, { userId: 'u-ada' });
  await until('calls in the other process', () => calls > 3);
  const { id, stages } = await runtime.stop({ session: run.id, reason: 'runaway', by: 'on-call' });
  assert.ok(stages.fenced, 'nothing new starts, in either process');
  await new Promise((resolve) => setTimeout(resolve, 50)); // what was said before the fence is on its way
  const before = calls;
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(calls, before, 'no call of the other process after the fence');
  assert.equal((await run.outcome).status, 'terminated');
  await until('one receipt of both', async () => {
    const receipt = (await runtime.receipts()).find((one) => one.id === id);
    return receipt?.sessions.length === 2 && receipt.stages.done !== undefined;
  });
  console.log(`over-http: a stop of one session ended two, in two processes, after ${before} calls; one receipt names both`);
  other.disconnect();
  await once(other, 'exit');
  await runtime.close();
  rmSync(folder, { recursive: true });
}
