// crash-agent.mjs: the process that crash.process.test.ts kills: agents with real effects on a real folder. It says what
// happens, a word a line, so that the killer can choose its moment. Built packages, no test runner.

import { appendFileSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineKillSwitches } from '@offswitch/core';
import { flagFile } from '@offswitch/flag-file';
import { createRuntime, folderStore } from '@offswitch/runtime';

const [place, jobs, seed] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const say = (word) => process.stdout.write(`${word}\n`);
let state = seed || 1;
const random = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
};
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const switches = defineKillSwitches({
  global: { authorized: ['test'] },
  features: { alpha: { authorized: ['test'] }, beta: { authorized: ['test'] } },
  user: { authorized: ['test'] },
  instance: { authorized: ['test'] },
});
const runtime = await createRuntime({
  switches,
  source: flagFile(join(place, 'switches.flagd.json')),
  store: folderStore(join(place, 'state')),
  parkAfterMs: 20,
  effectDeadlineMs: 50,
});

/** The effect: one line, at the end of its time. What happened is what the file says. */
const send = async (what, { idempotencyKey }) => {
  say('effect');
  await pause(random() * 12);
  appendFileSync(join(place, 'outbox'), `${what}\t${idempotencyKey}\n`);
  await pause(random() * 2);
  return what;
};
const leaf = runtime.agent('leaf', (session, name) =>
  session.turn(async (turn) => {
    await turn.model('m', () => pause(random() * 3).then(() => 'thought'));
    await turn.tool('send', `${name}.leaf`, send);
  }),
);
const body = async (session, name) => {
  let done = session.state ?? 0;
  while (done < 3) {
    done = await session.turn(async (turn) => {
      await turn.model('m', () => pause(random() * 3).then(() => 'thought'));
      const both = [turn.tool('send', `${name}.${done}`, send), turn.spawn(leaf, `${name}.${done}`)];
      if (done === 1) both.push(turn.tool('send', `${name}.${done}b`, send));
      await Promise.all(both);
      return done + 1;
    });
  }
  // The last thing it does is idempotent: it tells the next process that there is nothing left to start.
  writeFileSync(join(place, `done-${name}`), '');
};
const agents = { alpha: runtime.agent('alpha', body), beta: runtime.agent('beta', body) };

runtime.subscribe((event) => {
  if (event.type === 'stop') say(event.engaged ? 'stop' : 'release');
  if (event.type === 'stage') say(event.stage);
  if (event.type === 'session') {
    const view = runtime.session(event.session);
    if (view && view.state !== 'running') say(view.state);
    else if (view && view.turn > view.checkpointTurn) say('turn');
  }
});
const known = new Set(runtime.sessions().map((session) => session.conversation));
// A few at a time, so that there is work left to crash to the last. What an earlier life left goes on besides.
let next = 0;
const startOne = () => {
  for (; next < jobs; next++) {
    const name = `c${next}`;
    if (known.has(name) || existsSync(join(place, `done-${name}`)) || existsSync(join(place, `ended-${name}`))) continue;
    const { id } = agents[next % 2 === 0 ? 'alpha' : 'beta'].start(name, { userId: `u-${next % 3}`, conversationId: name });
    next++;
    void runtime.settled(id).then(startOne);
    return;
  }
};
for (let i = 0; i < 6; i++) startOne();
say('up');
