// place.ts: where an Unleash is, as people write it down in more than one way.

import { UnleashSwitchError } from './error.ts';

/** The address without `/api` and what may follow it, and without a slash at its end: a proxy's path in front of it stays. */
export function baseOf(url: unknown): string {
  if (typeof url !== 'string' || url.trim() === '')
    throw new UnleashSwitchError(
      'bad_configuration',
      'url is empty; give the address of Unleash, like "https://unleash.example.com/api"',
    );
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw new UnleashSwitchError(
      'bad_configuration',
      'url is no URL; give the address of Unleash, like "https://unleash.example.com/api"',
    );
  }
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:')
    throw new UnleashSwitchError('bad_configuration', `url must start with https:// or http://, not ${parsed.protocol}//`);
  if (parsed.username !== '' || parsed.password !== '')
    throw new UnleashSwitchError('bad_configuration', 'url holds a user name or password; Unleash takes a token instead');
  return `${parsed.origin}${parsed.pathname.replace(/\/+$/, '').replace(/\/api(\/(client|admin)(\/features)?)?$/, '')}`;
}

/** Unleash's tokens begin with project and environment, which outlive a rotation of the secret; `undefined` for others (edge, proxies). */
export function scopeOf(token: string): string | undefined {
  return /^([\w*[\]-]+:[\w*-]+)\.\S+$/.exec(token)?.[1];
}

/**
 * What is wrong with a token, as a clause that does not hold it; `undefined` where nothing is. Checked before it is sent, because
 * the platform quotes a header it refuses, token and all, in its error.
 */
export function wrongWithToken(token: unknown): string | undefined {
  if (typeof token !== 'string' || token.trim() === '') return 'token is empty';
  if (!/^[\x21-\x7e]+$/.test(token))
    return 'token holds a blank, a line break or another character that no token has (read from a file? trim it)';
  return undefined;
}
