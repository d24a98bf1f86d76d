// compare.ts: `npm start -- --compare`: the same fleet twice, side by side, stopped at the same instant.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { createRuntime, folderStore } from 'offswitch';
import { crewFor } from './agents.ts';
import { makeTally } from './compare-count.ts';
import { compareTable } from './compare-table.ts';
import { todaysCrew } from './compare-today.ts';
import { openEndpoint } from './endpoint.ts';
import { startFleet } from './fleet.ts';
import type { Options } from './options.ts';
import { jobsOf, openPlan } from './plan.ts';
import { orchestratorTask } from './planner-roles.ts';
import { loadMaterial, type Material } from './studio.ts';
import { switches } from './switches.ts';
import { createTools, type StudioTools } from './tools.ts';
import { readOutbox } from './tools-files.ts';
import { wire } from './wiring.ts';

/** Model calls both fleets have made when they are stopped: in full flight, sub-agents at every depth. */
const callsBeforeStop = 120;
/** Bound of every wait. Milliseconds. */
const withinMs = 120_000;

/** Resolves with the exit code: 0 when the governed fleet started nothing after the stop. */
export async function runCompare(options: Options): Promise<number> {
  const material = await loadMaterial(options);
  const folder = mkdtempSync(join(tmpdir(), 'studio-compare-'));
  const env = process.env;
  try {
    const today = await startToday(options, material, join(folder, 'today'), env);
    const governed = await startGoverned(options, material, join(folder, 'governed'), env);
    const total = jobsOf(material.documents, options.workflows).length;
    process.stdout.write(`the same ${total} jobs in two fleets; both are stopped after ${callsBeforeStop} model calls each\n`);
    await until(
      'both fleets are in full flight, or done',
      () => today.isDone() || governed.isDone() || Math.min(today.tally.modelCalls, governed.tally.modelCalls) >= callsBeforeStop,
    );
    // One synchronous block: nothing of either fleet runs in between.
    today.tally.stop();
    governed.tally.stop();
    today.stop();
    const stopped = governed.stop();
    const receipts = await stopped;
    await until('the fleet of today comes to its end', () => today.atWork() === 0);
    const inDelivery = [today, governed].map((one) => readOutbox(one.outbox).length - one.lettersAtStop());
    const table = compareTable([
      { name: 'AbortController, as usual', after: today.tally.after, lastAfterMs: today.tally.lastAfterMs },
      { name: 'governed by Offswitch', after: governed.tally.after, lastAfterMs: governed.tally.lastAfterMs },
    ]);
    const text = [
      table,
      '',
      `Letters already being sent at the stop that went out: ${inDelivery[0]} and ${inDelivery[1]}.`,
      `Governed, the receipts name ${receipts.sessions} sessions, and of the ${receipts.calls} calls of their last turns what became of each: ${receipts.outcomes}.`,
    ].join('\n');
    process.stdout.write(`\n${text}\n`);
    if (options.outputFile) writeFileSync(options.outputFile, `${text}\n`);
    await governed.close();
    await today.close();
    const late = governed.tally.after.some((one) => one.modelCalls + one.toolCalls > 0);
    return late ? 1 : 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

type Env = Readonly<Record<string, string | undefined>>;

function toolsIn(options: Options, material: Material, folder: string): { tools: StudioTools; outbox: string } {
  const outbox = join(folder, 'outbox.jsonl');
  const { documents, adverts } = material;
  const tools = createTools({ documents, adverts, outputDir: join(folder, 'output'), outboxPath: outbox, speed: options.speed });
  return { tools, outbox };
}

/** A pool of orchestrators and one AbortController. */
async function startToday(options: Options, material: Material, folder: string, env: Env) {
  const tally = makeTally();
  const { seed, speed } = options;
  const endpoint = await openEndpoint({ seed, speed, env, onRequest: tally.onRequest });
  const { tools, outbox } = toolsIn(options, material, folder);
  const crew = todaysCrew({ model: endpoint.model, tools, onTool: tally.onTool });
  const controller = new AbortController();
  const waiting = [...jobsOf(material.documents, options.workflows)];
  let lanes = options.concurrency;
  let letters = 0;
  const lane = async (): Promise<void> => {
    for (let job = waiting.shift(); job && !controller.signal.aborted; job = waiting.shift()) {
      const task = orchestratorTask(job.document, material.adverts);
      await crew.orchestrate(job.workflow, task, controller.signal).catch(() => undefined);
    }
    lanes--;
  };
  for (let index = 0; index < options.concurrency; index++) void lane();
  return {
    tally,
    outbox,
    isDone: () => lanes === 0,
    atWork: () => crew.atWork,
    lettersAtStop: () => letters,
    stop() {
      letters = readOutbox(outbox).length;
      controller.abort(new Error('stopped by a person'));
    },
    close: () => endpoint.close(),
  };
}

/** The fleet of `npm start`, in a folder of its own. */
async function startGoverned(options: Options, material: Material, folder: string, env: Env) {
  const tally = makeTally();
  const { seed, speed } = options;
  const endpoint = await openEndpoint({ seed, speed, env, onRequest: tally.onRequest });
  const { tools, outbox } = toolsIn(options, material, folder);
  const wiring = await wire({ ...options, flags: join(folder, 'switches.flagd.json'), env });
  await wiring.control?.provision(switches, { apply: true });
  const store = folderStore(join(folder, 'state'));
  const runtime = await createRuntime({ switches, source: await wiring.open(), store });
  const crew = crewFor({ model: endpoint.model, tools, onTool: tally.onTool });
  const jobs = jobsOf(material.documents, options.workflows);
  const plan = await openPlan(
    join(folder, 'jobs'),
    jobs.map(({ key }) => key),
  );
  const fleet = await startFleet({
    runtime,
    jobs,
    adverts: material.adverts,
    plan,
    concurrency: options.concurrency,
    orchestrate: (workflow, task, session) => crew.orchestrate(workflow, task, session),
  });
  let letters = 0;
  return {
    tally,
    outbox,
    isDone: () => fleet.ended() === jobs.length,
    lettersAtStop: () => letters,
    /** Break-glass for each tree. What an effect in flight comes to is waited for. */
    async stop(): Promise<{ readonly sessions: number; readonly calls: number; readonly outcomes: string }> {
      letters = readOutbox(outbox).length;
      fleet.halt();
      const roots = runtime.sessions().filter((view) => view.parent === undefined);
      const orders = roots.map(({ id }) => runtime.stop({ session: id, reason: 'compared', by: 'on-call' }));
      const ids = (await Promise.all(orders)).map(({ id }) => id);
      await Promise.all(roots.map(({ id }) => runtime.settled(id).catch(() => undefined)));
      const receipts = (await runtime.receipts()).filter(({ id }) => ids.includes(id));
      const sessions = receipts.flatMap((receipt) => receipt.sessions);
      const counts = new Map<string, number>();
      for (const { outcome } of sessions.flatMap((one) => one.calls)) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
      return {
        sessions: sessions.length,
        calls: [...counts.values()].reduce((all, one) => all + one, 0),
        outcomes: [...counts].map(([outcome, count]) => `${count} ${outcome}`).join(', '),
      };
    },
    async close(): Promise<void> {
      await runtime.close();
      await endpoint.close();
      await wiring.close();
    },
  };
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!isSo()) {
    if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`);
    await pause(10);
  }
}
