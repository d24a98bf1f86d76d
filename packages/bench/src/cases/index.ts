// index.ts: every benchmark, in the order in which they run: the short ones first.

import type { Case } from '../case.ts';
import { block } from './block.ts';
import { budget } from './budget.ts';
import { call, durable } from './call.ts';
import { fence } from './fence.ts';
import { fileChange } from './file-change.ts';
import { graph } from './graph.ts';
import { guard } from './guard.ts';
import { latch } from './latch.ts';
import { path } from './path.ts';
import { peerAgt } from './peer-agt.ts';
import { peerOpenFeature } from './peer-openfeature.ts';
import { redis } from './redis.ts';
import { sessionBytes } from './session-bytes.ts';
import { vendorGrowthBook } from './vendor-growthbook.ts';
import { vendorLaunchDarkly } from './vendor-launchdarkly.ts';
import { vendorUnleash } from './vendor-unleash.ts';

export const cases: Readonly<Record<string, Case>> = {
  'peer-openfeature': peerOpenFeature,
  'peer-agt': peerAgt,
  call,
  durable,
  guard,
  path,
  'session-bytes': sessionBytes,
  'file-change': fileChange,
  fence,
  block,
  latch,
  redis,
  graph,
  budget,
  'vendor-launchdarkly': vendorLaunchDarkly,
  'vendor-growthbook': vendorGrowthBook,
  'vendor-unleash': vendorUnleash,
};
