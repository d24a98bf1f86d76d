// path-keys.ts: the keys that paths are signed with: the first signs, all verify, so that a key can be replaced while
// sessions live. No message names a secret, nor the text around one: people do swap the two sides of a colon.

import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { RuntimeError } from '../error.ts';
import { mintId } from '../id.ts';

/** One key. `id` stands on the wire; a `secret` that is a string is base64, as in `OFFSWITCH_PATH_KEYS`; 32 bytes at least. */
export interface PathKey {
  readonly id: string;
  readonly secret: Uint8Array | string;
}

/** Newest first: the first signs, all verify. The same in every process of one system. */
export type PathKeys = readonly PathKey[];

/** Fewer are refused. Bytes: as many as the signature has (RFC 2104, section 3, discourages shorter keys than the hash's output). */
export const minSecretBytes = 32;
const idForm = /^[A-Za-z0-9_-]{1,32}$/;
/** With or without padding, either alphabet of RFC 4648. */
const base64Form = /^[A-Za-z0-9+/_-]+={0,2}$/;

/** A new key as text, `id:base64`, to be put in front of `OFFSWITCH_PATH_KEYS`. */
export function newPathKey(): string {
  return `k${mintId('').slice(0, 7)}:${randomBytes(minSecretBytes).toString('base64')}`;
}

/**
 * The keys of `OFFSWITCH_PATH_KEYS`: `id:base64,id2:base64`, newest first. Empty where it is not set: then nothing can be carried or
 * accepted (`path_keys_missing`). Throws `invalid_option` for an entry that is no key, with its number and without its text.
 */
export function pathKeysFromEnv(env: Readonly<Record<string, string | undefined>> = process.env): PathKeys {
  const text = env.OFFSWITCH_PATH_KEYS?.trim() ?? '';
  if (text === '') return [];
  const seen = new Set<string>();
  return text.split(',').map((entry, index) => {
    const where = `OFFSWITCH_PATH_KEYS, entry ${index + 1}`;
    const [id, secret, ...rest] = entry.trim().split(':');
    if (id === undefined || secret === undefined || rest.length > 0 || !idForm.test(id))
      throw new RuntimeError('invalid_option', `${where} is not id:base64; an id has 1 to 32 of A-Z a-z 0-9 _ -`);
    const bytes = secretBytes(secret, where);
    if (seen.has(id)) throw new RuntimeError('invalid_option', `${where} has the id of an earlier one; ids are not used again`);
    seen.add(id);
    return { id, secret: bytes };
  });
}

/** Keys that were given as values, before anything is signed with them. Throws `invalid_option`, as for those of the environment. */
export function checkedPathKeys(keys: PathKeys): PathKeys {
  const seen = new Set<string>();
  for (const key of keys) {
    keyObject(key);
    if (seen.has(key.id))
      throw new RuntimeError('invalid_option', `two path keys have the id "${key.id}"; ids are not used again`);
    seen.add(key.id);
  }
  return keys;
}

/** The key that signs. Throws `path_keys_missing`. */
export function signingKey(keys: PathKeys): PathKey {
  const [first] = keys;
  if (first) return first;
  throw new RuntimeError(
    'path_keys_missing',
    'no keys to sign or verify paths with; set OFFSWITCH_PATH_KEYS to the same keys in every process (newPathKey makes one)',
  );
}

const prepared = new WeakMap<PathKey, KeyObject>();

/** The key as the machine takes it. Throws `invalid_option` for an id or a secret that is none. */
export function keyObject(key: PathKey): KeyObject {
  let ready = prepared.get(key);
  if (!ready) {
    if (!idForm.test(key.id))
      throw new RuntimeError(
        'invalid_option',
        'the id of a path key has 1 to 32 of A-Z a-z 0-9 _ -, and one was given that has not',
      );
    ready = createSecretKey(secretBytes(key.secret, 'a path key'));
    prepared.set(key, ready);
  }
  return ready;
}

function secretBytes(secret: Uint8Array | string, where: string): Uint8Array {
  if (typeof secret === 'string' && !base64Form.test(secret))
    throw new RuntimeError('invalid_option', `the secret of ${where} is not base64`);
  const bytes = typeof secret === 'string' ? Buffer.from(secret, 'base64') : secret;
  if (bytes.length >= minSecretBytes) return bytes;
  throw new RuntimeError(
    'invalid_option',
    `the secret of ${where} has ${bytes.length} bytes; it takes ${minSecretBytes} random ones`,
  );
}
