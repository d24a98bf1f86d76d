// run.ts: `npm start`: the fleet from its first session to its last, or to Ctrl-C.

import { writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { newPathKey, type SessionView } from 'offswitch';
import { crewFor } from './agents.ts';
import { openEndpoint } from './endpoint.ts';
import { type FleetEnd, startFleet } from './fleet.ts';
import { startLocalMail } from './mail/local-mail.ts';
import { mailAccount, mailEnvOf } from './mail/mail-account.ts';
import { forgottenStops, type Options, startOverBeside, stateFlag } from './options.ts';
import { openOutput } from './output.ts';
import { paceFrom } from './pace.ts';
import { jobsOf, openPlan } from './plan.ts';
import { delegateTo } from './processes/delegate.ts';
import { startOwnRedis } from './processes/own-redis.ts';
import { type PlacedView, startWorkers, type WorkersOptions } from './processes/workers.ts';
import { openScreen, type Screen } from './screen.ts';
import { standing } from './standing.ts';
import { loadMaterial, mustBeWritable, openRuntime, provisionFlags, refuseSecond, startOver } from './studio.ts';
import { createTools } from './tools.ts';
import { readOutbox } from './tools-files.ts';
import { wire } from './wiring.ts';

/** Resolves with the exit code. Ctrl-C, a closed terminal and a pipe that nobody reads any more all park the fleet. */
export async function runFleet(options: Options): Promise<number> {
  const printed = openOutput();
  const { say } = printed;
  const { documents, library, adverts, warnings } = await loadMaterial(options);
  for (const warning of warnings) say(warning);
  await refuseSecond(options);
  if (options.isFresh && !(await startOver(options))) {
    say('nothing was removed and nothing started');
    return 0;
  }
  await mustBeWritable(options);
  const jobs = jobsOf(documents, options.workflows);
  const plan = await openPlan(
    options.jobs,
    jobs.map((job) => job.key),
  );
  // Like the keys of paths, for the workers as well.
  const redis = options.store === 'redis' && options.ownsState ? await startOwnRedis(join(options.state, 'redis')) : undefined;
  if (redis) process.env.REDIS_URL = redis.url;
  if (options.isLocal) say(`bringing up ${options.source} on this machine`);
  const wiring = await wire({ ...options, env: process.env });
  if (wiring.local) await writeEnvFile(options.envFile, wiring.local);
  const provisioned = await provisionFlags(options, wiring);
  if (provisioned) say(provisioned);
  const endpoint = await openEndpoint({ seed: options.seed, speed: options.speed, env: process.env });
  // A path is signed and accepted by this fleet alone, unless the environment brings keys.
  if (options.processes > 1) process.env.OFFSWITCH_PATH_KEYS ||= newPathKey();
  const given = mailEnvOf(process.env);
  const ownMail = given ? undefined : await startLocalMail({ outbox: options.outbox, secretFile: options.mailSecret });
  const mailEnv = given ?? ownMail!.env;
  const mail = mailAccount(mailEnv);
  const runtime = await openRuntime(options, wiring, mail);
  const command = commandHere(options);
  let screen: Screen | undefined;
  const tell = (line: string): void => (screen ? screen.say(line) : say(line));
  const delay = paceFrom(process.env.STUDIO_PACE_URL);
  const workers =
    options.processes > 1
      ? await startWorkers(workersOf(options, { ...wiring.local, ...endpoint.env, ...mailEnv }, tell))
      : undefined;
  const tools = createTools({
    documents: library,
    adverts,
    outputDir: options.output,
    outboxPath: options.outbox,
    mail,
    speed: options.speed,
    ...(delay ? { delay } : {}),
  });
  const crew = crewFor({ model: endpoint.model, tools, ...(workers ? { delegate: delegateTo(workers.doors) } : {}) });
  const fleet = await startFleet({
    runtime,
    jobs,
    adverts,
    plan,
    concurrency: options.concurrency,
    orchestrate: (workflow, task, session) => crew.orchestrate(workflow, task, session),
    onEnd: (job, session, status) => screen?.say(`${job.key} ${session} ${status}`),
  });

  const footer = howToStop(options, command, runtime.status().source.location);
  say(`${jobs.length} jobs over ${documents.length} documents, model: ${endpoint.description}`);
  if (workers)
    say(`${options.processes} processes: orchestrators in this one (1, pid ${process.pid}), sub-agents in ${workers.pids()}`);
  if (fleet.resumed > 0) say(`${fleet.resumed} go on from where the last process left them`);
  if (fleet.ended() > 0) say(`${fleet.ended()} had ended before`);
  for (const line of footer) say(line);
  for (const line of standing(runtime.stops(), runtime.sessions(), command)) say(line);
  screen = openScreen({
    runtime,
    command,
    output: process.stdout,
    isRead: printed.isRead,
    isPlain: options.isPlain,
    jobs: jobs.length,
    ended: fleet.ended,
    footer,
    views: () => (workers ? placed(runtime.sessions(), workers.views()) : runtime.sessions()),
  });

  let interrupted = (): void => undefined;
  const interruption = new Promise<'interrupted'>((resolve) => {
    interrupted = () => resolve('interrupted');
  });
  let signals = 0;
  const onSignal = (): void => {
    // The second time nothing is waited for: the journals hold what is needed, as after a crash.
    if (++signals > 1) process.exit(130);
    interrupted();
  };
  // The terminal was closed. A shell passes that on to what the kernel has told already, so twice is no haste of anybody's.
  const onHangUp = (): void => interrupted();
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal).on('SIGHUP', onHangUp);
  try {
    const end = await Promise.race([fleet.done, interruption, printed.unread]);
    if (end !== 'interrupted' && end !== 'unread') {
      screen.close();
      for (const line of summary(end, options)) say(line);
      return end.failed.length > 0 || end.lost.length > 0 ? 1 : 0;
    }
    fleet.halt();
    if (end === 'unread') say('nobody reads what is printed here any more, so the fleet parks');
    screen.say('parking: each agent comes to its next turn boundary first; Ctrl-C again quits at once');
    const left = (await Promise.all([runtime.park(), workers?.park() ?? []])).flat();
    screen.close();
    const parked = runtime.sessions().filter((view) => view.parent === undefined && view.state === 'parked');
    say(`parked ${parked.length} trees of agents at their last completed turn; the next start resumes them`);
    for (const id of left) say(`${id} did not come to rest in time; it is taken up from its journal`);
    return 0;
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal).off('SIGHUP', onHangUp);
    screen.close();
    await workers?.close();
    await runtime.close();
    await ownMail?.close();
    await endpoint.close();
    await wiring.close();
    if (redis) {
      await redis.close();
      say(
        'the Redis of this fleet has ended with it, so offswitch reads nothing there until the next start; to read receipts afterwards, start with a REDIS_URL of your own (docs/environment.md)',
      );
    }
  }
}

/** What each worker is started with. */
function workersOf(options: Options, env: Readonly<Record<string, string>>, say: (line: string) => void): WorkersOptions {
  const isTelling = options.isPlain || process.stdout.isTTY !== true;
  const command = commandHere(options);
  return { count: options.processes - 1, options, isTelling, command, env, say };
}

/** A session that several processes know of is shown where it is. */
function placed(own: readonly SessionView[], others: readonly PlacedView[]): readonly PlacedView[] {
  const all = new Map<string, PlacedView>();
  for (const view of [...own.map((one) => ({ ...one, process: 1 })), ...others]) {
    const known = all.get(view.id);
    if (!known || known.state === 'elsewhere') all.set(view.id, view);
  }
  return [...all.values()];
}

/** For the command in a second terminal, and for nobody else's eyes. */
async function writeEnvFile(path: string, env: Readonly<Record<string, string>>): Promise<void> {
  const lines = Object.entries(env).map(([name, value]) => `${name}='${value}'`);
  await writeFile(path, `${lines.join('\n')}\n`, { mode: 0o600 });
}

const here = (path: string): string => relative(process.cwd(), path) || path;

/** The command with what it needs to find this fleet from here. */
function commandHere(options: Options): string {
  return `npx offswitch${stateFlag(options, process.cwd(), process.env.REDIS_URL)}${options.isLocal ? ` --credentials ${here(options.envFile)}` : ''}`;
}

function howToStop(options: Options, command: string, location: string | undefined): readonly string[] {
  return [
    options.source === 'file'
      ? `flag file: ${here(options.flags)} (edit it by hand, or in a second terminal:)`
      : `switches: ${options.source}${location === undefined ? '' : `, ${location}`} (flip them there, or in a second terminal:)`,
    `${command} engage global --reason "..."     stop everything; release global lets it go on`,
    `${command} engage feature batch-scoring | user u-ann | instance <session> --reason "..."`,
    `${command} status | sessions | receipts | stop <session> --reason "..."`,
  ];
}

function summary(end: FleetEnd, options: Options): readonly string[] {
  const total = end.completed.length + end.terminated.length + end.failed.length + end.lost.length;
  const letters = readOutbox(options.outbox).length;
  const again = options.ownsState ? 'npm start -- --fresh' : startOverBeside(options);
  const lines = [
    `${total} jobs have ended: ${end.completed.length} completed, ${end.terminated.length} terminated, ${end.failed.length} failed`,
    `drafts and scores: ${here(options.output)}; ${letters} letters sent: ${here(options.outbox)}`,
  ];
  for (const key of end.terminated) lines.push(`terminated: ${key}`);
  for (const key of end.failed) lines.push(`failed: ${key} (why: ${here(options.jobs)}/${key}.json)`);
  if (end.failed.length > 0)
    lines.push(
      `to try a failed one again: see in the outbox that its letter is not out, remove its note, and start again. To do all of them again, and forget ${forgottenStops(options)}: ${again}`,
    );
  for (const key of end.lost)
    lines.push(`lost: ${key} was started, and its state is gone; not started again, its letters may be out`);
  if (end.before === total)
    lines.push(`all of them had ended before; to do it all again, and forget ${forgottenStops(options)}: ${again}`);
  return lines;
}
