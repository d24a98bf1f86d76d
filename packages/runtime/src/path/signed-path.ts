// signed-path.ts: a path that can be extended and never shortened or edited.
//
//   1.k1.s-root!wresume-rewrite!uu-7.s-child.!xm1kcd2o0!kcall-4.<signature>
//   version . key . segment of the root . ... . segment of the session . seal: good until, call . signature of the seal
//
// Chained HMAC-SHA256 (RFC 2104) after Birgisson and others, "Macaroons" (NDSS 2014), section 3: the key signs the root, and each
// signature is the key for what comes next. Whoever has the signature of a session can therefore sign below it and nowhere
// else. What travels is the signature of the seal, which nothing can follow: only who has the keys gets the session's own back.

import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto';
import { RuntimeError } from '../error.ts';
import { keyObject, type PathKeys, signingKey } from './path-keys.ts';
import { decodeSegment, encodeSegment, escapeText, fillIn, type PathSegment, unescapeText } from './segment.ts';

/** Most sessions of one path, the root with them. 64: three times the deepest graph we measure with, and it bounds what verifying can cost. */
export const maxPathDepth = 64;
/**
 * Longest token, in bytes. 4096: half of what W3C Baggage (section 3.3.2) asks everybody to pass on, so that the
 * application's own members still fit.
 */
export const maxTokenBytes = 4096;

/** A path with what is needed to extend it: plain data, to be kept with the session as one keeps a credential. */
export interface SignedPath {
  /** Id of the key that the root was signed with. */
  readonly key: string;
  /** Root first, filled in. */
  readonly segments: readonly PathSegment[];
  /** Base64url. Whoever has it can sign sessions below this one. */
  readonly signature: string;
}

export interface Seal {
  /** When the token stops to be accepted, epoch milliseconds. It bounds the start of the child, not its life. */
  readonly expiresAt: number;
  /** The parent's call that this is carried for: one call has one child. */
  readonly call?: string;
}

/** A token that was verified: extend it for the session that starts here. */
export interface OpenedPath extends SignedPath, Seal {}

const version = '1';
/** In front of the first text that is signed, so that a secret used for something else as well signs no path by accident. */
const purpose = 'offswitch.path.';
const tokenForm = /^[A-Za-z0-9_@:/.!~-]+$/;
const sealForm = /^!x([0-9a-z]{1,11})(?:!k(.+))?$/;
const signatureForm = /^[A-Za-z0-9_-]{43}$/;
const keyIdForm = /^[A-Za-z0-9_-]{1,32}$/;

/** The path of a root. Throws `path_keys_missing`, `invalid_option` for a key that is none, `invalid_id` (OffswitchError). */
export function signRoot(keys: PathKeys, segment: PathSegment): SignedPath {
  const key = signingKey(keys);
  const signature = hmac(keyObject(key), `${purpose}${version}.${key.id}.${encodeSegment(segment, undefined)}`);
  return { key: key.id, segments: [fillIn(segment, undefined)], signature: signature.toString('base64url') };
}

/** The path of a child. Needs no keys. Throws `path_too_long`, `path_malformed` for a session that is on the path already. */
export function extend(path: SignedPath, segment: PathSegment): SignedPath {
  const parent = path.segments.at(-1);
  if (path.segments.length >= maxPathDepth) throw tooDeep();
  if (path.segments.some((one) => one.session === segment.session)) throw repeated(segment.session);
  const signature = hmac(Buffer.from(path.signature, 'base64url'), encodeSegment(segment, parent));
  return { key: path.key, segments: [...path.segments, fillIn(segment, parent)], signature: signature.toString('base64url') };
}

/** The token that travels. Throws `path_too_long`, and `invalid_option` for a time that is none. */
export function seal(path: SignedPath, { expiresAt, call }: Seal): string {
  if (!isTime(expiresAt)) throw new RuntimeError('invalid_option', `expiresAt is epoch milliseconds, and ${expiresAt} is none`);
  if (call === '') throw new RuntimeError('invalid_option', 'call is empty; leave it out when there is none');
  if (path.segments.length > maxPathDepth) throw tooDeep();
  const written = path.segments.map((segment, depth) => encodeSegment(segment, path.segments[depth - 1])).join('.');
  const caveat = `!x${expiresAt.toString(36)}${call === undefined ? '' : `!k${escapeText(call)}`}`;
  const signature = hmac(Buffer.from(path.signature, 'base64url'), caveat).toString('base64url');
  const token = `${version}.${path.key}.${written}.${caveat}.${signature}`;
  if (token.length > maxTokenBytes) throw tooLong(token.length);
  return token;
}

/**
 * Verifies a token and gives the path back, filled in. `now` is epoch milliseconds. Throws `path_malformed`, `path_too_long`, `path_forged`,
 * `path_expired`, and `path_keys_missing` where there are none. Nothing in it is decoded before it is known to be signed.
 */
export function openToken(keys: PathKeys, token: string, now: number): OpenedPath {
  signingKey(keys);
  checkToken(token);
  const [, keyId, ...rest] = token.split('.');
  const given = rest.pop()!;
  const caveat = rest.pop()!;
  const key = keys.find((one) => one.id === keyId);
  if (!key)
    throw new RuntimeError(
      'path_forged',
      `the path is signed with the key "${keyId}", which is not among the ${keys.length} known here`,
    );
  let signature: Buffer | undefined;
  for (const written of rest)
    signature = signature ? hmac(signature, written) : hmac(keyObject(key), `${purpose}${version}.${keyId}.${written}`);
  if (!timingSafeEqual(Buffer.from(hmac(signature!, caveat).toString('base64url')), Buffer.from(given)))
    throw new RuntimeError('path_forged', 'the path is not signed by who says so: it was edited, shortened or made up');
  const [, written, call] = sealForm.exec(caveat) ?? [];
  const expiresAt = Number.parseInt(written ?? '', 36);
  if (!isTime(expiresAt) || expiresAt.toString(36) !== written)
    throw new RuntimeError('path_malformed', 'the path is sealed with something that is no time');
  if (!(now < expiresAt)) throw expired(expiresAt);
  const segments: PathSegment[] = [];
  const sessions = new Set<string>();
  for (const one of rest) {
    const segment = decodeSegment(one, segments.at(-1));
    if (sessions.has(segment.session)) throw repeated(segment.session);
    sessions.add(segment.session);
    segments.push(segment);
  }
  return {
    key: key.id,
    segments,
    signature: signature!.toString('base64url'),
    expiresAt,
    ...(call === undefined ? {} : { call: unescapeText(call) }),
  };
}

/** Refuses what cannot be a token, whoever signed it: `path_malformed`, `path_too_long`. Needs no keys. */
export function checkToken(token: unknown): asserts token is string {
  if (typeof token !== 'string' || token === '')
    throw new RuntimeError(
      'path_malformed',
      `where a path should be there is ${token === '' ? 'an empty text' : `a ${typeof token}`}`,
    );
  if (token.length > maxTokenBytes) throw tooLong(token.length);
  if (!tokenForm.test(token)) throw new RuntimeError('path_malformed', 'the path holds characters that no path has');
  const parts = token.split('.');
  if (parts[0] !== version)
    throw new RuntimeError(
      'path_malformed',
      `the path does not begin with version ${version}; the sender is another release, or it is no path`,
    );
  const segments = parts.slice(2, -2);
  if (segments.length > maxPathDepth) throw tooDeep();
  if (
    segments.length === 0 ||
    !keyIdForm.test(parts[1]!) ||
    segments.some((one) => one === '' || one.startsWith('!')) ||
    !sealForm.test(parts.at(-2)!) ||
    !signatureForm.test(parts.at(-1)!)
  )
    throw new RuntimeError('path_malformed', 'the path is not version.key.segments.seal.signature; something on the way cut it');
}

/** Epoch milliseconds that a `Date` can hold (ECMA-262, section 21.4.1.1). */
function isTime(ms: number): boolean {
  return Number.isInteger(ms) && ms >= 0 && ms <= 8.64e15;
}

function hmac(key: KeyObject | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

export function expired(at: number): RuntimeError {
  return new RuntimeError('path_expired', `the path was good until ${new Date(at).toISOString()}; carry it anew for each use`);
}

const tooDeep = (): RuntimeError =>
  new RuntimeError('path_too_long', `the path is deeper than ${maxPathDepth} sessions; start a run of its own instead`);

const tooLong = (bytes: number): RuntimeError =>
  new RuntimeError('path_too_long', `the path takes ${bytes} bytes and ${maxTokenBytes} are passed on; use shorter ids`);

const repeated = (session: string): RuntimeError =>
  new RuntimeError(
    'path_malformed',
    `session ${JSON.stringify(session)} is on the path twice; a session cannot be its own ancestor`,
  );
