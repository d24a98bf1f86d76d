// worker.ts: a process that runs sub-agents for others. It ends when the one that started it ends, however that was.

import type { Agent } from 'offswitch';
import { crewFor } from '../agents.ts';
import { openEndpoint } from '../endpoint.ts';
import { isOwn, newsOf, printLines } from '../lines.ts';
import { mailAccount, mailEnvOf } from '../mail/mail-account.ts';
import { paceFrom } from '../pace.ts';
import { depthOf, roles, type SubTask } from '../planner-roles.ts';
import { loadMaterial, openRuntime } from '../studio.ts';
import { createTools } from '../tools.ts';
import { wire } from '../wiring.ts';
import { delegateTo } from './delegate.ts';
import { openDoor } from './door.ts';
import { Doors } from './doors.ts';
import type { FromWorker, ToWorker, WorkerOptions } from './messages.ts';

// The journals hold what is needed, as after any crash.
process.once('disconnect', () => process.exit(1));
// Signals at the whole group (Ctrl-C, a closed terminal) are for the first process to answer: it tells when to park.
process.on('SIGINT', () => undefined).on('SIGHUP', () => undefined);

const { options, isTelling, command } = JSON.parse(process.argv[2] ?? '') as WorkerOptions;
const tell = (message: FromWorker): void => {
  // Fails when nobody is there to be told; `disconnect` says so too.
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
};

const { library, adverts } = await loadMaterial(options);
const wiring = await wire({ ...options, isLocal: false, env: process.env });
const endpoint = await openEndpoint({ seed: options.seed, speed: options.speed, env: process.env });
const mail = mailAccount(mailEnvOf(process.env)!);
const runtime = await openRuntime(options, wiring, mail);
const delay = paceFrom(process.env.STUDIO_PACE_URL);
const tools = createTools({
  documents: library,
  adverts,
  outputDir: options.output,
  outboxPath: options.outbox,
  mail,
  speed: options.speed,
  ...(delay ? { delay } : {}),
});
const others = new Doors();
const own: string[] = [];
const crew = crewFor({ model: endpoint.model, tools, delegate: delegateTo(others, own) });
if (isTelling) printLines(runtime, (line) => tell({ type: 'line', line }), command, 'sessions');
else
  runtime.subscribe((event) => {
    const line = isOwn(event) ? newsOf(event) : undefined;
    if (line) tell({ type: 'line', line });
  });

const agents = new Map<string, Agent<SubTask, string>>();
for (const role of roles)
  if (depthOf(role) > 1)
    agents.set(
      role,
      runtime.agent(role, (session, task: SubTask) => crew.assist(role, task, session)),
    );
const door = await openDoor(runtime, agents);
own.push(door.url);

process.on('message', (message: ToWorker) => {
  switch (message.type) {
    case 'doors':
      return others.set(message.doors.filter((one) => one !== door.url));
    case 'views':
      return tell({ type: 'views', views: runtime.sessions() });
    case 'park':
      return void runtime.park().then((left) => tell({ type: 'parked', left }));
    case 'close':
      return void close();
  }
});
tell({ type: 'open', door: door.url });

async function close(): Promise<void> {
  await runtime.close();
  await door.close();
  await endpoint.close();
  await wiring.close();
  process.exit(0);
}
