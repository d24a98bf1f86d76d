// worker.ts: one process of the fleet: jobs of a few turns, each with an effect, that start sub-agents here and in other workers.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { flagFile } from '@offswitch/flag-file';
import {
  type Clock,
  carryingFetch,
  createRuntime,
  type Outcome,
  RuntimeError,
  type Session,
  systemClock,
  type Turn,
} from '@offswitch/runtime';
import { openStore } from './store.ts';
import { machineMs, type News, type Order, switches, type WorkerSetup } from './switches.ts';

const setup = JSON.parse(process.env.NEMESIS ?? '{}') as WorkerSetup;
const tell = (news: News): void => {
  if (process.connected) process.send?.(news);
};
// What nobody asks for any more does not go on.
process.on('disconnect', () => process.exit(0));

let jumpedMs = 0;
const clock: Clock = { ...systemClock, now: () => Date.now() + jumpedMs };
let peers: readonly string[] = [];

const runtime = await createRuntime({
  switches,
  source: flagFile(setup.flags),
  store: openStore(setup, clock),
  clock,
  parkAfterMs: 300,
  effectDeadlineMs: 500,
});
runtime.subscribe((event) => {
  if (event.type === 'alarm' && process.env.NEMESIS_LOUD) console.error(`${setup.name}: ${event.message}`);
});

/** One effect in the world, that can be asked about. */
async function effect(turn: Turn, session: Session): Promise<void> {
  await turn.tool(
    'effect',
    {},
    async (_, { signal, idempotencyKey }) => {
      const arrival = { key: idempotencyKey, path: session.path, startedAt: machineMs(), worker: setup.name };
      const response = await fetch(setup.oracle, { method: 'POST', body: JSON.stringify(arrival), signal });
      await response.text();
    },
    {
      probe: async (key) => {
        const response = await fetch(`${setup.oracle}/happened?key=${encodeURIComponent(key)}`);
        return (await response.text()) === 'true' ? 'happened' : 'did-not';
      },
    },
  );
}

/** What each session that asks another worker was answered last. */
const answers = new Map<string, string>();

/** Asks another worker for a sub-agent, and one after the other until somebody has an answer. */
async function elsewhere(session: Session, depth: number, signal: AbortSignal): Promise<string> {
  const fetchThere = carryingFetch(() => session.carry(), { to: (url) => url.hostname === '127.0.0.1' });
  let last = '';
  for (let attempt = 0; ; attempt++) {
    const url = peers[attempt % Math.max(1, peers.length)];
    try {
      if (url !== undefined) {
        const response = await fetchThere(url, { method: 'POST', body: JSON.stringify({ depth }), signal });
        const said = (await response.json()) as { status?: string; code?: string; why?: string };
        const { status } = said;
        last = `${response.status} ${said.code ?? ''} ${said.why ?? ''}`;
        if (response.ok && status !== undefined && status !== 'paused') return status;
        if (response.status === 410) return 'gone';
      }
    } catch (error) {
      if (signal.aborted) throw error;
      last = String(error);
    }
    answers.set(session.id, last);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const turns = 6;
async function body(session: Session, input: { readonly depth: number }): Promise<string> {
  let { state, turnNumber } = session;
  while (turnNumber < turns) {
    await session.turn(async (turn) => {
      await effect(turn, session);
      if (input.depth > 0 && turn.number === 2) await turn.spawn(job, { depth: input.depth - 1 });
      if (input.depth > 0 && turn.number === 3)
        await turn.tool('delegate', {}, (_, { signal }) => elsewhere(session, input.depth - 1, signal), { delegates: true });
      return { turn: turn.number };
    });
    ({ state, turnNumber } = session);
  }
  return JSON.stringify(state);
}
const job = runtime.agent('job', body);

const server = createServer((request, response) => {
  let text = '';
  request.setEncoding('utf8');
  request.on('data', (part: string) => {
    text += part;
  });
  request.on(
    'end',
    () => void answer(request.headers, text).then(([code, said]) => response.writeHead(code).end(JSON.stringify(said))),
  );
});
async function answer(headers: object, text: string): Promise<readonly [number, unknown]> {
  try {
    const parent = await runtime.accept(headers);
    const outcome: Outcome = await job.run(JSON.parse(text), { parent });
    return [200, { status: outcome.status }];
  } catch (error) {
    const code = RuntimeError.is(error) ? error.code : 'internal';
    return [code === 'root_settled' ? 410 : 503, { code, why: String(error) }];
  }
}
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

function begin(): void {
  const { id } = job.start({ depth: 2 }, { userId: `u-${setup.name}` });
  tell({ type: 'began', session: id });
  void runtime.settled(id).then((outcome) => tell({ type: 'ended', session: id, status: outcome.status }));
}

async function stop({ id, session, action }: Extract<Order, { type: 'stop' }>): Promise<void> {
  try {
    const receipt = await runtime.stop({ session, action, reason: 'nemesis', by: setup.name });
    tell({ type: 'stopped', id, fenced: receipt.stages.fenced !== undefined, at: machineMs() });
  } catch (error) {
    tell({ type: 'stopped', id, fenced: false, at: machineMs(), error: String(error) });
  }
}

process.on('message', (order: Order) => {
  switch (order.type) {
    case 'peers':
      peers = order.urls;
      return;
    case 'start':
      for (let i = 0; i < order.jobs; i++) begin();
      return;
    case 'stop':
      void stop(order);
      return;
    case 'jump':
      jumpedMs += order.ms;
      return;
    case 'look':
      tell({
        type: 'seen',
        id: order.id,
        sessions: runtime.sessions().map(({ id, path, state, turn, calls, decision, unknownCalls }) => ({
          id,
          path,
          state,
          doing: [
            `turn ${turn}`,
            ...calls.map((call) => call.name),
            ...unknownCalls.map((call) => `unknown ${call.name}`),
            decision.action,
            answers.get(id) ?? '',
          ].join(' '),
        })),
      });
  }
});
tell({ type: 'ready', url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, process: runtime.store.processId });
