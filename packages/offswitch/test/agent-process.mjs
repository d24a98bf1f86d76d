// agent-process.mjs: a process that runs one agent until somebody ends it: for tests in which it dies, or takes up what another left.

import { setTimeout as wait } from 'node:timers/promises';
import { redisStore } from '@offswitch/redis';
import { createRuntime, defineKillSwitches, flagFile, folderStore } from 'offswitch';

const [state, file, name, lease, user, conversationId] = process.argv.slice(2);
const features = { 'resume-rewrite': { authorized: ['on-call'] }, 'batch-scoring': { authorized: ['on-call'] } };
const switches = defineKillSwitches({
  global: { authorized: ['on-call'] },
  features,
  user: { authorized: ['support'] },
  instance: { authorized: ['on-call'] },
});
const store = state.startsWith('redis:') ? redisStore({ url: state, leaseMs: Number(lease), anchor: false }) : folderStore(state);
const runtime = await createRuntime({ switches, source: flagFile(file), store });
const agent = runtime.agent(name, async (session) => {
  for (;;) await session.turn(() => wait(5));
});
if (user) {
  const { id } = agent.start(undefined, { userId: user, ...(conversationId ? { conversationId } : {}) });
  await store.flush();
  process.send({ id });
} else process.send({ open: true });
process.once('disconnect', () => process.exit(0));
