// path.test.ts: the path as it stands on the wire: its bytes, its limits, its keys, and what somebody who means harm can do with it.
// Pins are literals: a token of today must be read by every later release.

import { createHmac } from 'node:crypto';
import { OffswitchError } from '@offswitch/core';
import {
  extendPath,
  maxPathDepth,
  maxTokenBytes,
  newPathKey,
  openToken,
  type PathKeys,
  pathKeysFromEnv,
  RuntimeError,
  type RuntimeErrorCode,
  type SignedPath,
  sealPath,
  signRoot,
} from '@offswitch/runtime';
import { describe, expect, test } from 'vitest';

const key = (id: string, byte: number) => ({ id, secret: new Uint8Array(32).fill(byte) });
const keys: PathKeys = [key('k1', 7)];
const expiresAt = 1_800_000_000_000;
const now = expiresAt - 60_000;

/** The code of what `act` throws, `'none'` where it does not. */
function codeOf(act: () => unknown): RuntimeErrorCode | 'none' {
  try {
    act();
    return 'none';
  } catch (error) {
    if (RuntimeError.is(error)) return error.code;
    throw error;
  }
}

function chain(...sessions: readonly string[]): SignedPath {
  const [root, ...rest] = sessions;
  return rest.reduce(
    (path, session) => extendPath(path, { session }),
    signRoot(keys, { session: root!, workflow: 'alpha', user: 'u-1' }),
  );
}

describe('the path on the wire', () => {
  test('is pinned: version, key, segments with what differs, seal, signature', () => {
    const root = signRoot(keys, { session: 's-root', workflow: 'resume-rewrite', user: 'ada@example.com', conversation: 't/1' });
    expect(root.signature).toBe('0rXbk8gbt68QdWWcX33yT448oesryLs3t0ft1ir5VmQ');
    const child = extendPath(root, { session: 's-child', workflow: 'resume-rewrite', user: 'ü! ~' });
    expect(child.signature).toBe('SO9dhXhMokUKCrTYOtxi2fE9bOh_V5hQsk5gTMIUv0o');
    expect(sealPath(child, { expiresAt, call: '3.tool:send' })).toBe(
      '1.k1.s-root!wresume-rewrite!uada@example~2Ecom!ct/1.s-child!u~C3~BC~21~20~7E.!xmywpiww0!k3~2Etool:send.ZgIKphBurbVNRJaWELgdaaexZFg6tG__vqN8ZOOZB68',
    );
    expect(sealPath(root, { expiresAt })).toBe(
      '1.k1.s-root!wresume-rewrite!uada@example~2Ecom!ct/1.!xmywpiww0.z3tZnrg-ptH1PPfxa-8NThAlyF9837Ubwe3xGzEEqjE',
    );
  });

  test('is signed as documented, so that another language can', () => {
    const hmac = (secret: string | Uint8Array, text: string) => createHmac('sha256', secret).update(text).digest();
    const root = hmac(new Uint8Array(32).fill(7), 'offswitch.path.1.k1.s-root!walpha');
    const child = hmac(root, 's-child');
    const seal = hmac(child, `!x${expiresAt.toString(36)}`).toString('base64url');
    const token = `1.k1.s-root!walpha.s-child.!x${expiresAt.toString(36)}.${seal}`;
    expect(openToken(keys, token, now)).toEqual({
      key: 'k1',
      segments: [
        { session: 's-root', workflow: 'alpha' },
        { session: 's-child', workflow: 'alpha' },
      ],
      signature: child.toString('base64url'),
      expiresAt,
    });
  });

  test('gives each ancestor its whole workflow, user and conversation, so that each of their stops reaches it (S1)', () => {
    const root = signRoot(keys, { session: 's-1', workflow: 'alpha', user: 'u-1', conversation: 't-1' });
    const path = extendPath(extendPath(root, { session: 's-2', user: 'u-2' }), {
      session: 's-3',
      workflow: 'beta',
      conversation: 't-3',
    });
    expect(openToken(keys, sealPath(path, { expiresAt }), now).segments).toEqual([
      { session: 's-1', workflow: 'alpha', user: 'u-1', conversation: 't-1' },
      { session: 's-2', workflow: 'alpha', user: 'u-2', conversation: 't-1' },
      { session: 's-3', workflow: 'beta', user: 'u-2', conversation: 't-3' },
    ]);
  });

  test('goes on in the process it arrives in: what was opened is extended, and opens again', () => {
    const arrived = openToken(keys, sealPath(chain('s-1', 's-2'), { expiresAt, call: 'c' }), now);
    expect(arrived.call).toBe('c');
    const again = openToken(keys, sealPath(extendPath(arrived, { session: 's-3' }), { expiresAt: expiresAt + 1 }), now);
    expect(again.segments.map((one) => one.session)).toEqual(['s-1', 's-2', 's-3']);
    expect(again).not.toHaveProperty('call');
    expect(again.expiresAt).toBe(expiresAt + 1);
    expect(again.signature).toBe(chain('s-1', 's-2', 's-3').signature);
  });

  test('survives being kept as JSON', () => {
    const kept = JSON.parse(JSON.stringify(chain('s-1'))) as SignedPath;
    expect(sealPath(extendPath(kept, { session: 's-2' }), { expiresAt })).toBe(sealPath(chain('s-1', 's-2'), { expiresAt }));
  });

  test('is good until its seal says, and not at that moment', () => {
    const token = sealPath(chain('s-1'), { expiresAt });
    expect(codeOf(() => openToken(keys, token, expiresAt - 1))).toBe('none');
    expect(codeOf(() => openToken(keys, token, expiresAt))).toBe('path_expired');
    expect(codeOf(() => openToken(keys, token, Number.NaN))).toBe('path_expired');
    expect(codeOf(() => openToken(keys, sealPath(chain('s-1'), { expiresAt: 8.64e15 }), Number.POSITIVE_INFINITY))).toBe(
      'path_expired',
    );
  });

  test.each([Number.NaN, -1, 1.5, 8.64e15 + 1, Number.POSITIVE_INFINITY])('is not sealed until %d', (until) => {
    expect(codeOf(() => sealPath(chain('s-1'), { expiresAt: until }))).toBe('invalid_option');
  });

  test('holds only what the gate can stop: ids that core refuses are refused, when it is made and when it arrives', () => {
    expect(() => signRoot(keys, { session: '' })).toThrow(OffswitchError);
    expect(() => signRoot(keys, { session: 's\n1' })).toThrow(/invalid_id/);
    expect(() => extendPath(chain('s-1'), { session: 's-2', user: 'u'.repeat(257) })).toThrow(/userId/);
    expect(codeOf(() => signRoot(keys, { session: 's-\ud800' }))).toBe('path_malformed');
    expect(codeOf(() => openToken(keys, signed('s~0A1'), now))).toBe('path_malformed');
    expect(codeOf(() => openToken(keys, signed('s-1!w'), now))).toBe('path_malformed');
  });

  test.each([
    ['an escape of what needs none', 's~2D1'],
    ['an escape in small letters', 's~c3~bc'],
    ['an escape that is no UTF-8', 's~C3'],
    ['half an escape', 's~C'],
    ['fields in another order', 's-1!uu-1!walpha'],
    ['a field twice', 's-1!walpha!wbeta'],
    ['a field nobody knows', 's-1!zalpha'],
  ])('has one text: %s is refused even with a good signature', (_what, segment) => {
    expect(codeOf(() => openToken(keys, signed(segment), now))).toBe('path_malformed');
  });

  test.each([
    `!x0${expiresAt.toString(36)}`,
    '!xzzzzzzzzzzz',
    `!x${expiresAt.toString(36)}!kc~2D1`,
    `!x${expiresAt.toString(36)}!k~FF`,
  ])('has one text of its seal: %s is refused even with a good signature', (seal) => {
    expect(codeOf(() => openToken(keys, signedUnder(seal, 's-1'), now))).toBe('path_malformed');
  });

  test('keeps a character that text decoders like to swallow', () => {
    const session = '\ufeffs-1';
    expect(openToken(keys, sealPath(signRoot(keys, { session }), { expiresAt }), now).segments).toEqual([{ session }]);
  });

  test('names no session twice, and repeats nothing of the parent', () => {
    expect(codeOf(() => extendPath(chain('s-1', 's-2'), { session: 's-1' }))).toBe('path_malformed');
    expect(codeOf(() => openToken(keys, signed('s-1', 's-2', 's-1'), now))).toBe('path_malformed');
    expect(codeOf(() => openToken(keys, signed('s-1!walpha', 's-2!walpha'), now))).toBe('path_malformed');
    expect(codeOf(() => openToken(keys, signed('s-1!walpha', 's-2!wbeta'), now))).toBe('none');
  });
});

/** A token of these segments, signed by somebody who has the key. */
function signed(...segments: readonly string[]): string {
  return signedUnder(`!x${expiresAt.toString(36)}`, ...segments);
}

function signedUnder(seal: string, ...segments: readonly string[]): string {
  let signature: Uint8Array = new Uint8Array(32).fill(7);
  for (const [depth, text] of [...segments, seal].entries())
    signature = createHmac('sha256', signature)
      .update(depth === 0 ? `offswitch.path.1.k1.${text}` : text)
      .digest();
  return `1.k1.${segments.join('.')}.${seal}.${Buffer.from(signature).toString('base64url')}`;
}

describe('the limits of a path', () => {
  const deep = (depth: number) => chain(...Array.from({ length: depth }, (_, n) => `s-${n}`));

  test('are 64 sessions and 4096 bytes, when it is made and when it arrives', () => {
    expect([maxPathDepth, maxTokenBytes]).toEqual([64, 4096]);
    expect(openToken(keys, sealPath(deep(64), { expiresAt }), now).segments).toHaveLength(64);
    expect(codeOf(() => extendPath(deep(64), { session: 's-64' }))).toBe('path_too_long');
    const wire = signed(...Array.from({ length: 65 }, (_, n) => `s-${n}`));
    expect(codeOf(() => openToken(keys, wire, now))).toBe('path_too_long');
  });

  test('count the bytes of the whole token', () => {
    const long = (n: number) => chain('s-1', ...Array.from({ length: 15 }, (_, i) => `${i}-`.padEnd(250, 'x')), 'y'.repeat(n));
    const room = maxTokenBytes - sealPath(long(1), { expiresAt }).length;
    const token = sealPath(long(1 + room), { expiresAt });
    expect(token).toHaveLength(maxTokenBytes);
    expect(codeOf(() => openToken(keys, token, now))).toBe('none');
    expect(codeOf(() => sealPath(long(2 + room), { expiresAt }))).toBe('path_too_long');
    expect(codeOf(() => openToken(keys, `${token}A`, now))).toBe('path_too_long');
  });

  test('bound what a stranger can make us do: ten million bytes are refused unread', () => {
    expect(codeOf(() => openToken(keys, '1.k1.'.padEnd(10_000_000, 's.'), now))).toBe('path_too_long');
  });
});

describe('somebody who means harm', () => {
  const ours = chain('s-root', 's-mid', 's-leaf');
  const token = sealPath(ours, { expiresAt });
  const [version, id, root, mid, leaf, seal, signature] = token.split('.');

  test('cannot drop the last segment with the signatures that travel: the wire has only those of seals', () => {
    // Everything ever sent in this graph, by each of its sessions.
    const seen = [chain('s-root'), chain('s-root', 's-mid'), ours].map((path) => sealPath(path, { expiresAt: expiresAt + 1 }));
    const signatures = seen.map((one) => one.split('.').at(-1)!);
    for (const path of [chain('s-root'), chain('s-root', 's-mid'), ours])
      for (const one of seen) expect(one).not.toContain(path.signature);
    for (const one of signatures)
      expect(codeOf(() => openToken(keys, [version, id, root, mid, seal, one].join('.'), now))).toBe('path_forged');
  });

  test('cannot go on from the signature of a seal: neither as a segment nor as a second seal', () => {
    const forge = (text: string) => createHmac('sha256', Buffer.from(signature!, 'base64url')).update(text).digest('base64url');
    const below = [version, id, root, mid, leaf, 's-evil', seal, forge('s-evil')].join('.');
    expect(codeOf(() => openToken(keys, below, now))).toBe('path_forged');
    const later = `!x${(expiresAt * 2).toString(36)}`;
    expect(codeOf(() => openToken(keys, [version, id, root, mid, leaf, seal, later, forge(later)].join('.'), now))).toBe(
      'path_malformed',
    );
    // The same token, taken for a path by who extends what it was given.
    const taken = extendPath({ key: id!, segments: ours.segments, signature: signature! }, { session: 's-evil' });
    expect(codeOf(() => openToken(keys, sealPath(taken, { expiresAt }), now))).toBe('path_forged');
  });

  test('cannot make it last longer or serve another call', () => {
    const later = `!x${(expiresAt + 1).toString(36)}`;
    expect(codeOf(() => openToken(keys, [version, id, root, mid, leaf, later, signature].join('.'), now))).toBe('path_forged');
    expect(codeOf(() => openToken(keys, [version, id, root, mid, leaf, `${seal}!kother`, signature].join('.'), now))).toBe(
      'path_forged',
    );
  });

  test('cannot sign a root without the key, nor with another key under its name', () => {
    const evil = [key('k1', 8)];
    expect(codeOf(() => openToken(keys, sealPath(signRoot(evil, { session: 's-1' }), { expiresAt }), now))).toBe('path_forged');
    expect(codeOf(() => openToken(keys, sealPath(signRoot([key('k9', 7)], { session: 's-1' }), { expiresAt }), now))).toBe(
      'path_forged',
    );
  });

  test('cannot move a token from one known key to another', () => {
    const both = [...keys, key('k2', 7)];
    expect(codeOf(() => openToken(both, token.replace('1.k1.', '1.k2.'), now))).toBe('path_forged');
  });

  test('who has taken over a child can sign below it without a key, and stays under every stop above (allowed by design)', () => {
    const stolen = ours;
    const below = extendPath(stolen, { session: 's-evil', user: 'somebody-else' });
    expect(openToken(keys, sealPath(below, { expiresAt }), now).segments.map((one) => one.session)).toEqual([
      's-root',
      's-mid',
      's-leaf',
      's-evil',
    ]);
    const sibling = extendPath({ ...stolen, segments: stolen.segments.slice(0, -1) }, { session: 's-evil' });
    expect(codeOf(() => openToken(keys, sealPath(sibling, { expiresAt }), now))).toBe('path_forged');
    const asParent = { ...stolen, segments: stolen.segments.slice(0, -1) };
    expect(codeOf(() => openToken(keys, sealPath(asParent, { expiresAt }), now))).toBe('path_forged');
  });

  test.each([
    ['nothing', ''],
    ['words', 'hello'],
    ['another version', token.replace(/^1/, '2')],
    ['no segment', `1.k1.${seal}.${signature}`],
    ['an empty segment', `1.k1.s-1..${seal}.${signature}`],
    ['no seal', `1.k1.s-1.${signature}`],
    ['a seal in the middle', `1.k1.s-1.${seal}.s-2.${seal}.${signature}`],
    ['a time that is none', `1.k1.s-1.!x.${signature}`],
    ['half a signature', token.slice(0, -10)],
    ['a padded signature', `${token}=`],
    ['a line break', `${token}\n`],
    ['a percent sign', token.replace('s-mid', 's%2Dmid')],
    ['a key id that is none', token.replace('1.k1', `1.${'k'.repeat(33)}`)],
  ])('gets path_malformed for %s', (_what, text) => {
    expect(codeOf(() => openToken(keys, text, now))).toBe('path_malformed');
  });

  test('gets no second spelling of a good signature', () => {
    const last = signature!.at(-1)!;
    // The last letter carries two bits that decoding ignores.
    const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const twin = letters[letters.indexOf(last) ^ 1]!;
    expect(codeOf(() => openToken(keys, token.slice(0, -1) + twin, now))).toBe('path_forged');
  });
});

describe('the keys of paths', () => {
  const env = (text: string) => ({ OFFSWITCH_PATH_KEYS: text });
  const secret = Buffer.alloc(32, 0xfb);

  test('come from the environment, newest first, base64 in either alphabet', () => {
    const text = ` k2:${secret.toString('base64')} , k1:${secret.toString('base64url')}\n`;
    expect(
      pathKeysFromEnv(env(text)).map(({ id, secret }) => [id, Buffer.from(secret as Uint8Array).equals(Buffer.alloc(32, 0xfb))]),
    ).toEqual([
      ['k2', true],
      ['k1', true],
    ]);
  });

  test('that are not there are none, and sign and verify nothing', () => {
    expect(pathKeysFromEnv({})).toEqual([]);
    expect(pathKeysFromEnv(env(''))).toEqual([]);
    expect(codeOf(() => signRoot([], { session: 's-1' }))).toBe('path_keys_missing');
    expect(codeOf(() => openToken([], 'anything', now))).toBe('path_keys_missing');
  });

  test.each([
    ['no id', 'U0VDUkVUU0VDUkVUU0VDUkVUU0VDUkVUU0VDUkVUISE='],
    ['the two sides swapped', 'U0VDUkVUU0VDUkVUU0VDUkVUU0VDUkVUU0VDUkVUISE:k1'],
    ['31 bytes', `k1:${Buffer.from('U0VDUkVU'.repeat(4).slice(0, 31)).toString('base64')}`],
    ['no base64', `k1:U0VDUkVU ${'U0VDUkVU'.repeat(6)}`],
    ['a third part', `k1:${'U0VDUkVU'.repeat(6)}:U0VDUkVU`],
    ['an id twice', `k1:${'U0VDUkVU'.repeat(6)},k1:${'U0VDUkVU'.repeat(6)}`],
    ['an empty entry', `k1:${'U0VDUkVU'.repeat(6)},`],
  ])('with %s are refused, and no message shows a secret', (_what, text) => {
    let message = '';
    try {
      pathKeysFromEnv(env(text));
    } catch (error) {
      message = String(error);
    }
    expect(message).toMatch(/invalid_option.*entry [12]/);
    expect(message).not.toMatch(/U0VDUkVU|SECRET/);
  });

  test('given as they are, are held to the same', () => {
    expect(codeOf(() => signRoot([{ id: 'k1', secret: new Uint8Array(31) }], { session: 's-1' }))).toBe('invalid_option');
    expect(codeOf(() => signRoot([{ id: 'k.1', secret: new Uint8Array(32) }], { session: 's-1' }))).toBe('invalid_option');
    expect(codeOf(() => signRoot([{ id: 'k1', secret: 'correct horse battery staple, and more' }], { session: 's-1' }))).toBe(
      'invalid_option',
    );
    const text = { id: 'k1', secret: Buffer.alloc(32, 7).toString('base64') };
    expect(signRoot([text], { session: 's-1' })).toEqual(signRoot(keys, { session: 's-1' }));
  });

  test('are made ready to be pasted, each another', () => {
    const [one, two] = pathKeysFromEnv(env(`${newPathKey()},${newPathKey()}`));
    expect(one!.id).not.toBe(two!.id);
    expect(one!.secret).not.toEqual(two!.secret);
    expect(newPathKey()).toMatch(/^k[0-9a-z]{7}:[A-Za-z0-9+/]{43}=$/);
  });

  test('are replaced while sessions live: first all know the new one, then it signs, then the old one goes', () => {
    const [older, newer] = [key('k1', 1), key('k2', 2)];
    const tokenOf = (ring: PathKeys) =>
      sealPath(extendPath(signRoot(ring, { session: 's-1' }), { session: 's-2' }), { expiresAt });
    const steps: readonly PathKeys[] = [[older], [older, newer], [newer, older], [newer]];
    // Two processes are never more than one step apart.
    for (const [i, ring] of steps.entries()) {
      for (const other of steps.slice(Math.max(0, i - 1), i + 2)) {
        expect(codeOf(() => openToken(ring, tokenOf(other), now))).toBe('none');
      }
    }
    // A session of the old key goes on below itself as long as the old key is known.
    const living = signRoot([older], { session: 's-1' });
    expect(codeOf(() => openToken([newer, older], sealPath(extendPath(living, { session: 's-2' }), { expiresAt }), now))).toBe(
      'none',
    );
    expect(() => openToken([newer], sealPath(living, { expiresAt }), now)).toThrow(/path_forged.*"k1"/);
    // And is signed anew by who has the new key and knows its segments.
    const [root, ...rest] = extendPath(living, { session: 's-2' }).segments;
    const anew = rest.reduce(extendPath, signRoot([newer], root!));
    expect(codeOf(() => openToken([newer], sealPath(anew, { expiresAt }), now))).toBe('none');
  });
});
