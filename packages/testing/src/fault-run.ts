// fault-run.ts: one source through one fault and out again. The verdict is data, so that a source which must fail can be seen to.

import type { Subject, SwitchFlag } from '@offswitch/core';
import { type Fault, faultKinds, faultUsers } from './fault.ts';
import type { FaultContractOptions, FaultHarness } from './fault-harness.ts';
import { type FaultObserver, observe, type Watched } from './fault-observer.ts';
import type { FaultResult } from './fault-result.ts';
import { watchHost } from './host-watch.ts';
import { contractSwitches } from './source-harness.ts';
import { waitUntil } from './wait-until.ts';

const { global, user, instance } = contractSwitches;
const rewrite = contractSwitches.feature('resume-rewrite');
const scoring = contractSwitches.feature('batch-scoring');
const { stopped, bystander, during } = faultUsers;
const settleWithinMs = 1000;

/**
 * Opens the harness's source, engages the global switch and one user, brings the fault about, stores one more change at the
 * vendor, heals and releases; the source is read all the while. Rejects only where the harness itself fails before the fault; the
 * caller closes source and harness.
 */
export async function runFault(harness: FaultHarness, fault: Fault, options: FaultContractOptions = {}): Promise<FaultResult> {
  const why = harness.cannot?.[fault];
  if (why !== undefined) return { fault, outcome: 'cannot', why, problems: [] };
  if (!user || !instance) throw new Error('the contract needs all four tiers');
  const { source } = harness;
  const kind = faultKinds[fault];
  const host = watchHost();
  let observer: FaultObserver | undefined;
  try {
    await source.open();
    await harness.engage(global);
    await harness.engage(user, stopped);
    const watched: Watched[] = [
      { flag: global, subject: {}, is: 'engaged' },
      { flag: user, subject: { userId: stopped }, is: 'engaged' },
      { flag: user, subject: { userId: bystander }, is: 'released' },
      { flag: rewrite, subject: { workflow: 'resume-rewrite' }, is: 'released' },
      { flag: scoring, subject: { workflow: 'batch-scoring' }, is: 'released' },
      { flag: instance, subject: { workflow: 'resume-rewrite', userId: bystander, sessionId: 's-1' }, is: 'released' },
    ];
    observer = observe(source, watched, kind.cutsData);
    const seen = await throughFault(harness, fault, observer, user, options);
    await release(harness, observer, user, options);
    return verdict(fault, observer, await uncaught(host), seen);
  } catch (error) {
    if (!observer) throw error;
    observer.problem('not-recovered', `the harness gave up: ${String(error)}`);
    return verdict(fault, observer, await uncaught(host), {});
  } finally {
    observer?.end();
    await host.end();
  }
}

interface Seen {
  readonly reads?: string;
  readonly health?: string;
}

async function throughFault(
  harness: FaultHarness,
  fault: Fault,
  observer: FaultObserver,
  user: SwitchFlag,
  { staleWithinMs = 10_000, recoverWithinMs = 10_000 }: FaultContractOptions,
): Promise<Seen> {
  const { source } = harness;
  const kind = faultKinds[fault];
  const isFresh = (): boolean => source.health.state === 'fresh';
  const live = async (flag: SwitchFlag, subject: Subject): Promise<'engaged' | 'released' | undefined> => {
    const reading = await observer.read(flag, subject);
    return reading.state === 'unknown' || reading.origin === 'cached' ? undefined : reading.state;
  };
  const changed = [during, ...kind.engages];
  const missing = async (): Promise<string[]> => {
    const found = [];
    for (const userId of changed) if ((await live(user, { userId })) === 'released') found.push(userId);
    return found;
  };

  await harness.inject(fault);
  await harness.store('engage', user, during);
  if (kind.cutsData && !(await waitUntil(source, staleWithinMs, () => !isFresh())))
    observer.problem('never-stale', `${kind.what}, and health was still fresh after ${staleWithinMs} ms`);
  // Either it sees what the vendor holds, or it does not call itself fresh.
  const isHonest = async (): Promise<boolean> => !isFresh() || (await missing()).length === 0;
  if (!(await waitUntil(source, staleWithinMs, isHonest)))
    observer.problem('fresh-and-wrong', `after ${staleWithinMs} ms fresh, and users ${(await missing()).join(', ')} not seen`);
  const isRight = async (): Promise<boolean> => {
    for (const userId of changed) if ((await live(user, { userId })) !== 'engaged') return false;
    return isFresh();
  };
  // What the table shows is what it comes to, and not what was caught on the way there.
  if (!kind.cutsData) await waitUntil(source, Math.min(staleWithinMs, settleWithinMs), isRight);
  const reading = await observer.read(contractSwitches.global, {});
  const seen: Seen = {
    reads: reading.state === 'unknown' ? `unknown (${reading.cause})` : `${reading.state} (${reading.origin})`,
    health: source.health.state,
  };

  await harness.heal();
  const isBack = async (): Promise<boolean> => {
    if ((await live(contractSwitches.global, {})) !== 'engaged') return false;
    return (await live(user, { userId: stopped })) === 'engaged' && isRight();
  };
  if (!(await waitUntil(source, recoverWithinMs, isBack))) {
    const { state, why } = source.health;
    if (isFresh()) observer.problem('lost-change', `fresh again, and users ${(await missing()).join(', ')} still not seen`);
    else
      observer.problem('not-recovered', `${recoverWithinMs} ms after the fault health is ${state}: ${why ?? 'no reason given'}`);
  }
  if (!observer.isLatched) observer.problem('unlatched', 'what was read in the course of the fault released a latch');
  return seen;
}

async function release(
  harness: FaultHarness,
  observer: FaultObserver,
  user: SwitchFlag,
  { recoverWithinMs = 10_000, positions = true }: FaultContractOptions,
): Promise<void> {
  observer.releasesAreMeant();
  let gaveUp: NodeJS.Timeout | undefined;
  const bound = new Promise<false>((resolve) => {
    gaveUp = setTimeout(() => resolve(false), recoverWithinMs);
  });
  const flips = async (): Promise<true> => {
    await harness.release(contractSwitches.global);
    await harness.release(user, stopped);
    return true;
  };
  const made = flips().catch((error: unknown) => {
    observer.problem('not-released', `the release failed: ${String(error)}`);
    return true as const;
  });
  const isDone = await Promise.race([made, bound]);
  clearTimeout(gaveUp);
  const isReleased = async (): Promise<boolean> => {
    for (const [flag, subject] of [
      [contractSwitches.global, {}],
      [user, { userId: stopped }],
    ] as const) {
      const reading = await observer.read(flag, subject);
      if (reading.state !== 'released' || reading.origin !== 'live') return false;
    }
    return !positions || !observer.isAnyLatched;
  };
  if (!isDone || !(await waitUntil(harness.source, recoverWithinMs, isReleased)))
    observer.problem(
      'not-released',
      `${recoverWithinMs} ms after the release at the vendor it does not read released, live and later`,
    );
}

async function uncaught(host: ReturnType<typeof watchHost>): Promise<readonly unknown[]> {
  await host.end();
  return host.uncaught;
}

function verdict(fault: Fault, observer: FaultObserver, uncaught: readonly unknown[], seen: Seen): FaultResult {
  for (const error of uncaught)
    observer.problem('crashed', `nobody caught ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  const { problems } = observer;
  return { fault, outcome: problems.length === 0 ? 'held' : 'failed', problems, ...seen };
}
