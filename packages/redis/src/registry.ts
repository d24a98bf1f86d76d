// registry.ts: sessions as they are kept in Redis, packed there and unpacked here (lua/registry.ts says how).

import { type RegisteredSession, type RegisteredState, type Registration, RuntimeError } from '@offswitch/runtime';
import type { Reply } from './connection/link.ts';
import type { Wire } from './connection/wire.ts';
import { invalid } from './options.ts';
import { parsed } from './unreadable.ts';

const letters = { running: 'r', resting: 'z', completed: 'c', terminated: 't', failed: 'f' } as const;
const states: Readonly<Record<string, RegisteredState>> = {
  r: 'running',
  z: 'resting',
  c: 'completed',
  t: 'terminated',
  f: 'failed',
};

export function letterOf(state: RegisteredState): string {
  return letters[state];
}

export function stateOf(letter: string): RegisteredState {
  return states[letter] ?? 'running';
}

/** What many sessions of a graph have in common; and what a detached root alone has. */
export function wordsOf({ agent, workflow, user, conversation, left }: Registration): string {
  const words = [agent, workflow, user ?? null, conversation ?? null];
  return JSON.stringify(left ? [...words, left] : words);
}

type Words = readonly [
  agent: string,
  workflow: string,
  user: string | null,
  conversation: string | null,
  left?: NonNullable<Registration['left']>,
];

const unreadable: Words = ['unreadable', 'unreadable', null, null];

/** Throws `invalid_option` for what cannot be kept as it is. */
export function checkRegistration({ session, path, call }: Registration): void {
  if (path.at(-1) !== session) throw invalid('a path ends with the session itself');
  if (path.length > 1000) throw invalid('a path is at most 1,000 sessions long');
  for (const id of path)
    if (id === '' || id.includes('\n')) throw invalid(`${JSON.stringify(id)} is no session id: empty, or of several lines`);
  if (call === '') throw invalid('a call has a key');
}

function session(
  id: string,
  path: readonly string[],
  letter: string,
  localRoot: string,
  [agent, workflow, user, conversation, left]: Words,
  process: string,
  call: string,
): RegisteredSession {
  return {
    session: id,
    path,
    agent,
    workflow,
    ...(user === null ? {} : { user }),
    ...(conversation === null ? {} : { conversation }),
    ...(call === '' ? {} : { call }),
    ...(left === undefined ? {} : { left }),
    isLocalRoot: localRoot === id,
    process,
    state: stateOf(letter),
  };
}

/** A session whose words a hand has spoiled is named all the same: it may be running. */
function wordsIn(text: string): Words {
  return parsed<Words>(text, isWords) ?? unreadable;
}

function isWords(value: object): boolean {
  if (!Array.isArray(value)) return false;
  return value.slice(0, 2).every((one) => typeof one === 'string') && (value[4] === undefined || Array.isArray(value[4]));
}

/** `undefined` for an empty answer: nobody knows it. */
export function describedIn(reply: Reply | undefined): RegisteredSession | undefined {
  const [id, letter, localRoot, words, process, call, path] = (reply ?? []) as readonly [
    string,
    string,
    string,
    string,
    string,
    string,
    readonly string[],
  ];
  return id === undefined ? undefined : session(id, path, letter, localRoot, wordsIn(words), process, call);
}

export interface LocalRoot {
  readonly session: string;
  readonly root: string;
}

/** Local roots looked at in one answer of the server. */
const rootsTogether = 1_000;

/** The local roots of a process that have not ended, and that no other has taken over. In pages: it may have run very many. */
export async function localRootsOf(wire: Wire, prefix: string, process: string): Promise<readonly LocalRoot[]> {
  const link = await wire.linked();
  const agents = (await wire.call(['SMEMBERS', `${prefix}:{ctl}:agents:${process}`])) as readonly string[];
  const found = new Set<string>();
  for (const agent of agents)
    for (let from: string | undefined = '0'; from !== undefined; ) {
      const key = `${prefix}:{ctl}:p:${process}:${agent}`;
      const page = (await wire.call(['SSCAN', key, from, 'COUNT', String(rootsTogether)])) as readonly [
        string,
        readonly string[],
      ];
      for (const one of page[1]) found.add(one);
      from = page[0] === '0' ? undefined : page[0];
    }
  // After a restart pages are others, and one that is missing would count as ended.
  if ((await wire.linked()) !== link)
    throw new RuntimeError('store_failed', `the connection was lost while what ${process} runs was read`);
  return [...found].map(localRootFrom);
}

/** As it stands in a set of the server: its root, a line break, itself. */
export function localRootFrom(text: string): LocalRoot {
  const end = text.indexOf('\n');
  return { root: text.slice(0, end), session: text.slice(end + 1) };
}

/** Asked for at once. */
const statesTogether = 1_000;

/** The states of these sessions of one graph, each in its place; `undefined` for one that nobody knows. */
export async function readStates(
  wire: Wire,
  prefix: string,
  root: string,
  sessions: readonly string[],
): Promise<readonly (RegisteredState | undefined)[]> {
  const states: (RegisteredState | undefined)[] = [];
  for (let i = 0; i < sessions.length; i += statesTogether) {
    const some = sessions.slice(i, i + statesTogether);
    const values = (await wire.call(['HMGET', `${prefix}:{${root}}:n`, ...some])) as readonly (string | null)[];
    for (const value of values) {
      const [, kind, letter] = value?.split('\n') ?? [];
      states.push(kind ? stateOf(letter ?? '') : undefined);
    }
  }
  return states;
}

type Kind = readonly [kind: string, localRoot: string, words: string, process: string];

/** One page, in which parents come before their children. */
export function pageIn(reply: Reply, limit: number): { readonly sessions: readonly RegisteredSession[]; readonly next?: string } {
  const [firstPath, memberTexts, valueTexts, kinds] = reply as unknown as readonly [
    firstPath: readonly string[] | undefined,
    members: string,
    values: string,
    kinds: readonly Kind[],
  ];
  if (firstPath === undefined) return { sessions: [] };
  const members = JSON.parse(memberTexts) as readonly string[];
  const values = JSON.parse(valueTexts) as readonly (string | false)[];
  // Many sessions are of one kind.
  const kindOf = new Map(kinds.map(([kind, localRoot, words, process]) => [kind, { localRoot, words: wordsIn(words), process }]));
  const paths = new Map<string, readonly string[]>();
  for (let i = 0; i < firstPath.length; i++) paths.set(firstPath[i]!, firstPath.slice(0, i + 1));
  const sessions: RegisteredSession[] = [];
  for (let i = 0; i < Math.min(limit, members.length); i++) {
    const id = members[i]!.slice(members[i]!.indexOf(' ') + 1);
    const [, kind, letter, parent, ...call] = (values[i] || '').split('\n');
    // Found in between by somebody who cleared the graph away.
    if (kind === undefined || parent === undefined) continue;
    const path = paths.get(id) ?? [...(paths.get(parent) ?? []), id];
    paths.set(id, path);
    const of = kindOf.get(kind);
    if (of) sessions.push(session(id, path, letter!, of.localRoot, of.words, of.process, call.join('\n')));
  }
  return { sessions, ...(members.length > limit ? { next: members[limit - 1]! } : {}) };
}
