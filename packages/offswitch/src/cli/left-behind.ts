// left-behind.ts: the sessions that processes left in the folder, as their journals tell them, when no process is running.

import { type Breathe, foldJournalsInSteps, type Saved, unknownCalls } from '@offswitch/runtime';
import { folderHold, stepOf } from './folder-holds.ts';
import type { Place } from './place.ts';
import { isRedisUrl } from './redis-place.ts';
import type { SessionLine, Status } from './wire.ts';

export interface LeftBehind {
  /** Graphs whose root has not ended, with everything in them. */
  readonly sessions: readonly SessionLine[];
  /** Of them those that no living process has taken up, and that have not ended. */
  readonly orphans: readonly SessionLine[];
  /** Everything that is written down as ended, by session: how. */
  readonly ended: ReadonlyMap<string, string>;
  /** What could not be read; then `sessions` are not all there are. */
  readonly damage?: string;
}

/** Throws where the journals cannot be listed: that is not the same as no sessions (S10). `breathe`: as in `readFolderJournals`. */
export async function leftBehind(place: Place, breathe?: Breathe): Promise<LeftBehind> {
  const [{ journals, damage }, stored] = await Promise.all([place.journals([], breathe), place.stops()]);
  const all = [...(await foldJournalsInSteps(journals, breathe)).values()];
  const folded = all.map(({ saved }) => saved);
  // A root, or what came from another process, whose own root may have left nothing here.
  const isHead = ({ record }: Saved): boolean => record.s === record.root || record.arrived !== undefined;
  const open = new Set(folded.filter((one) => isHead(one) && !one.settled).map((one) => one.record.s));
  const steps = new Map(folded.map((one) => [one.record.s, stepOf(one.record)]));
  // Of those above in other processes, who may have left nothing here, what came by the path.
  for (const { session, ...segment } of folded.flatMap(({ record }) => record.arrived?.segments ?? []))
    if (!steps.has(session)) steps.set(session, { s: session, ...segment });
  const arrived = new Map(folded.map(({ record }) => [record.s, record.arrived]));
  const holdOf = folderHold(stored, steps);
  const sessions = folded
    .filter((one) => one.record.path.some((id) => open.has(id)))
    .map((one): SessionLine => {
      const hold = one.settled ? undefined : holdOf(one.record);
      const left = one.record.path.map((id) => steps.get(id)?.left).find((by) => by !== undefined);
      const above = one.record.path.map((id) => arrived.get(id)?.segments).find((by) => by !== undefined);
      return {
        id: one.record.s,
        path: one.record.path,
        agent: one.record.agent,
        workflow: one.record.workflow,
        ...(one.record.user === undefined ? {} : { user: one.record.user }),
        ...(one.record.conversation === undefined ? {} : { conversation: one.record.conversation }),
        ...(left === undefined ? {} : { left }),
        ...(above === undefined ? {} : { above }),
        state: one.settled?.status ?? 'parked',
        turn: one.turns.at(-1)?.number ?? one.checkpointTurn,
        costMicros: one.costMicros,
        ...(hold === undefined
          ? { action: 'run', reason: 'no process is running' }
          : { action: hold.action, tier: hold.tier, cause: hold.cause, reason: hold.reason }),
        unknownCalls: one.settled
          ? []
          : unknownCalls(one).map((call) => ({ id: call.id, name: call.name, idempotencyKey: call.idempotencyKey })),
      };
    });
  const isLeft = new Set(all.flatMap(({ saved, isElsewhere }) => (isElsewhere || saved.settled ? [] : [saved.record.s])));
  return {
    sessions,
    orphans: sessions.filter(({ id }) => isLeft.has(id)),
    ended: new Map(folded.flatMap(({ record, settled }) => (settled ? [[record.s, settled.status] as const] : []))),
    ...(damage === undefined ? {} : { damage }),
  };
}

/**
 * What is left in the folder that no running process has taken up: none runs, or those that do could not write the folder when
 * they started, and so resumed nothing of it. `undefined` where what is in the folder is theirs to tell.
 */
export async function notTakenUp(place: Place, running: readonly Pick<Status, 'store'>[]): Promise<LeftBehind | undefined> {
  return running.length === 0 || isUnwritten(place, running) ? leftBehind(place) : undefined;
}

/** Could none of those that run write the folder when they started? What is in Redis they have, also where its health warns (`memory` too). */
export function isUnwritten(place: Place, running: readonly Pick<Status, 'store'>[]): boolean {
  return !isRedisUrl(place.folder) && running.length > 0 && running.every(({ store }) => store.state === 'memory');
}
