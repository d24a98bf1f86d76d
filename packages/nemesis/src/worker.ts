// worker.ts: one process of the fleet: jobs of a few turns, each with an effect, that start sub-agents here and in other workers.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { flagFile } from '@offswitch/flag-file';
import {
  type Clock,
  carryingFetch,
  createRuntime,
  type Outcome,
  RuntimeError,
  type Session,
  systemClock,
  type ToolContext,
  type Turn,
} from '@offswitch/runtime';
import { broken } from './broken.ts';
import { oracleBroker } from './broker.ts';
import { mortal } from './mortal.ts';
import type { Arrival } from './oracle.ts';
import { openStore } from './store.ts';
import { machineMs, type News, type Order, type SaidStop, switches, type WorkerSetup } from './switches.ts';

const setup = JSON.parse(process.env.NEMESIS ?? '{}') as WorkerSetup;
const tell = (news: News, then: () => void = () => {}): void => {
  if (process.connected) process.send?.(news, then);
  else then();
};
// What nobody asks for any more does not go on.
process.on('disconnect', () => process.exit(0));
// Nor what nobody asked for any more when it began to listen.
if (!process.connected) process.exit(0);

let jumpedMs = 0;
/**
 * When the guard looked whether the lease is out, for as long as nothing else has run since: a call that begins in this very moment was let through then,
 * also where the process is halted between the look and the call.
 */
let letThroughAt: number | undefined;
const clock: Clock = {
  ...systemClock,
  now: () => Date.now() + jumpedMs,
  monotonic() {
    letThroughAt = machineMs();
    queueMicrotask(() => {
      letThroughAt = undefined;
    });
    return systemClock.monotonic();
  },
};
let peers: readonly string[] = [];

const fate = mortal(openStore(setup, clock), tell);
const broker = oracleBroker({
  oracle: setup.oracle,
  worker: setup.name,
  clock,
  onRevoking: (path) => {
    for (const session of path) fate.come('revoking', session);
  },
});
if (setup.broken !== undefined) broken[setup.broken]!.breakBroker?.(broker);
const runtime = await createRuntime({
  switches,
  source: flagFile(setup.flags),
  store: fate.store,
  clock,
  parkAfterMs: 300,
  effectDeadlineMs: 500,
  caps: { user: { '*': setup.capMicros } },
  brokers: { world: broker },
});
const ends: ReadonlySet<string> = new Set(['completed', 'terminated', 'failed']);
runtime.subscribe((event) => {
  if (event.type === 'alarm') tell({ type: 'alarm', message: event.message });
  if (event.type === 'session') {
    const seen = runtime.session(event.session);
    if (seen && ends.has(seen.state)) tell({ type: 'ended', session: seen.id, path: seen.path, status: seen.state });
    if (seen?.state === 'failed')
      void runtime.settled(seen.id).then((outcome) => {
        if (outcome.status === 'failed') tell({ type: 'failed', session: seen.id, why: inspect(outcome.error) });
      });
  }
  if (event.type !== 'stage' || event.stage === 'recorded' || event.stage === 'done') return;
  const stop = runtime.stops().find(({ id }) => id === event.stop);
  if (!stop) return;
  const said: SaidStop = {
    action: stop.action,
    ...(stop.subject.sessionId === undefined ? {} : { session: stop.subject.sessionId }),
    ...(stop.subject.userId === undefined ? {} : { user: stop.subject.userId }),
  };
  if (event.stage === 'drained') return fate.come('walked', said.session);
  tell({ type: 'stage', stop: said, stage: event.stage, at: machineMs() }, () => {
    if (event.stage === 'fenced') fate.come('confirmed', said.session);
  });
});

type Said = Pick<Arrival, 'kind' | 'key' | 'turnAt' | 'enteredAt' | 'costMicros'>;
async function arrive(session: Session, signal: AbortSignal, said: Said): Promise<void> {
  const arrival: Omit<Arrival, 'at'> = {
    ...said,
    path: session.path,
    user: session.userId ?? '',
    startedAt: letThroughAt ?? machineMs(),
    worker: setup.name,
  };
  const response = await fetch(setup.oracle, { method: 'POST', body: JSON.stringify(arrival), signal });
  await response.text();
}

/** What a model call may cost, and mostly does not. */
const dearestMicros = 100;

async function think(turn: Turn, session: Session, turnAt: number): Promise<void> {
  const costMicros = dearestMicros / 2 + ((turn.number * 17) % (dearestMicros / 2));
  await turn.model(
    'thinker',
    (signal) => arrive(session, signal, { kind: 'look', key: '', turnAt, costMicros }),
    () => ({ costMicros }),
    { maxCostMicros: dearestMicros },
  );
}

/** Looks at the world in a turn, which wait for no disk and no server: only a guard holds them. Who has no sub-agents does little else. */
const looks = 1;
const looksOfLeaves = 4;

/** Looks at the world, and one effect in it, that can be asked about, and needs a credential. */
async function act(turn: Turn, session: Session, turnAt: number, depth: number): Promise<void> {
  if (turn.number % 2 === 1) await think(turn, session, turnAt);
  for (let i = 0; i < (depth === 0 ? looksOfLeaves : looks); i++)
    await turn.tool('look', { i }, (_, { signal }) => arrive(session, signal, { kind: 'look', key: '', turnAt }), {
      effect: false,
    });
  const effect = async (context: ToolContext): Promise<void> => {
    const enteredAt = letThroughAt ?? machineMs();
    await context.grant('world');
    await arrive(session, context.signal, { kind: 'effect', key: context.idempotencyKey, turnAt, enteredAt });
  };
  await turn.tool('effect', {}, (_, context) => effect(context), {
    probe: async (key) => {
      const response = await fetch(`${setup.oracle}/happened?key=${encodeURIComponent(key)}`);
      return (await response.text()) === 'true' ? 'happened' : 'did-not';
    },
  });
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
      await act(turn, session, machineMs(), input.depth);
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
// What is idle for long under a stop is not cut off by that.
server.keepAliveTimeout = 0;
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

function begin(): void {
  const { id } = job.start({ depth: 2 }, { userId: `u-${setup.name}` });
  tell({ type: 'began', session: id });
}

async function stop({ id, session, dieAt }: Extract<Order, { type: 'stop' }>): Promise<void> {
  if (dieAt !== undefined) fate.dieAt(dieAt, session);
  try {
    const receipt = await runtime.stop({ session, action: 'terminate', reason: 'nemesis', by: setup.name });
    tell({ type: 'stopped', id, fenced: receipt.stages.fenced !== undefined, at: machineMs() });
  } catch (error) {
    tell({ type: 'stopped', id, fenced: false, at: machineMs(), error: String(error) });
  }
}

const enoughMicros = 1_000_000;

async function receipts(id: number): Promise<void> {
  const all = await runtime.receipts();
  tell({
    type: 'receipts',
    id,
    receipts: all.flatMap(({ stop, stages, sessions, residue }) =>
      stop.subject.sessionId === undefined
        ? []
        : [
            {
              session: stop.subject.sessionId,
              stages: Object.keys(stages),
              residue,
              unconfirmed: sessions.flatMap((one) =>
                one.state === 'unconfirmed' ? [`${one.session} (${one.why ?? 'no reason given'})`] : [],
              ),
            },
          ],
    ),
  });
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
    case 'raise':
      // Another process may have done it in this moment.
      if (runtime.stops().some(({ cause }) => cause === 'breaker'))
        runtime.release({ breaker: 'cost', allowance: enoughMicros, reason: 'nemesis', by: 'nemesis' }).catch(() => {});
      return;
    case 'receipts':
      receipts(order.id).catch((error) => console.error(`${setup.name}: no receipts: ${String(error)}`));
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
