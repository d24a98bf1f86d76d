// unheard.ts: sessions of processes that are not heard from, as the registry knows them. Whether those still run is not known, so a
// stop that covers one is not over (S10).

import { hasEnded, type LineageStore, type RegisteredSession, type SettledRecord } from './lineage-store.ts';
import type { ReceiptSession } from './receipt.ts';
import { conversationKey, type StopKey, subjectKey } from './stop-key.ts';

/** Sessions that are named; of the others it is only said that there are some. */
const mostNamed = 1_000;

export interface Unheard {
  readonly sessions: readonly RegisteredSession[];
  /** There are more than are named. */
  readonly isMore: boolean;
}

/** Those under a stop that have not ended, and that nobody has taken over. Rejects where the store cannot be asked. */
export async function unheardUnder(lineage: LineageStore, key: StopKey): Promise<Unheard> {
  const sessions: RegisteredSession[] = [];
  for (const { process, localRoots } of await lineage.unheard())
    for (const { session, root } of localRoots) {
      const known = new Map<string, RegisteredSession>();
      for (let after: string | undefined = ''; after !== undefined; ) {
        const page: Awaited<ReturnType<LineageStore['subtree']>> = await lineage.subtree(
          session,
          root,
          after === '' ? {} : { after },
        );
        if (after === '') for (const one of await above(lineage, page.sessions[0])) known.set(one.session, one);
        for (const one of page.sessions) known.set(one.session, one);
        for (const one of page.sessions) {
          if (one.process !== process || hasEnded(one.state) || !isUnder(key, one, known)) continue;
          if (sessions.length >= mostNamed) return { sessions, isMore: true };
          sessions.push(one);
        }
        after = page.next;
      }
    }
  return { sessions, isMore: false };
}

export interface HeardAgain {
  readonly session: Pick<RegisteredSession, 'session' | 'path' | 'agent' | 'workflow' | 'user'>;
  /** As its records say, of which there may be none at all; `undefined` while they do not. */
  end: SettledRecord | 'never-begun' | undefined;
}

/** Of these, whom nobody knew the end of is to be asked after again: those that knew may be gone by now. */
export function askAfter(heardAgain: Map<string, HeardAgain>, sessions: readonly ReceiptSession[]): void {
  for (const session of sessions)
    if (session.state === 'unconfirmed' && !heardAgain.has(session.session))
      heardAgain.set(session.session, { session, end: undefined });
}

/** Learns of these how they have ended. Rejects where the store cannot be asked. */
export async function learnEnds(lineage: LineageStore, all: Iterable<HeardAgain>): Promise<void> {
  const open = new Map<string, HeardAgain[]>();
  for (const one of all) if (!one.end) open.set(one.session.path[0]!, [...(open.get(one.session.path[0]!) ?? []), one]);
  await Promise.all(
    [...open].map(async ([root, some]) => {
      const ends = await lineage.ends(
        root,
        some.map(({ session }) => session.session),
      );
      for (const one of some) one.end = ends.get(one.session.session);
    }),
  );
}

/** What stands above the first of a process, in other processes. */
async function above(lineage: LineageStore, first: RegisteredSession | undefined): Promise<readonly RegisteredSession[]> {
  if (!first) return [];
  const found = await Promise.all(first.path.slice(0, -1).map((id) => lineage.find(id, first.path[0]!)));
  return found.filter((one) => one !== undefined);
}

function isUnder(
  { tier, subject }: StopKey,
  { path }: RegisteredSession,
  known: ReadonlyMap<string, RegisteredSession>,
): boolean {
  if (tier === 'global') return true;
  const isOwn = (own: string | undefined): boolean => own !== undefined && subjectKey(own) === subject;
  const left = known.get(path[0]!)?.left ?? [];
  const isLeft = left.some((one) => isOwn(tier === 'feature' ? one.workflow : tier === 'user' ? one.user : undefined));
  return (
    isLeft ||
    path.some((id) => {
      const one = known.get(id);
      if (isOwn(tier === 'feature' ? one?.workflow : tier === 'user' ? one?.user : id)) return true;
      return tier === 'instance' && one?.conversation !== undefined && conversationKey(one.conversation) === subject;
    })
  );
}
