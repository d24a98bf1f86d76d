// place.ts: where a store is, in words that hold no credentials.

import { invalid, type RedisStoreOptions } from './options.ts';

/** Of a place whose URL is one. */
export function hostOf({ url, client }: Pick<RedisStoreOptions, 'url' | 'client'>): string {
  if (url !== undefined) return new URL(url).hostname || 'localhost';
  return socketOf(client)?.host ?? 'localhost';
}

function socketOf(client: unknown): { readonly host?: string; readonly port?: number } | undefined {
  return (client as { readonly options?: { readonly socket?: { readonly host?: string; readonly port?: number } } }).options
    ?.socket;
}

/**
 * Throws `invalid_option` for a URL that is none; the message does not repeat it. What follows the host is a database's number or
 * nothing: `redis://default:12/secret@host` is a URL whose host is `default`, and the rest is a password.
 */
export function placeOf({ url, client }: Pick<RedisStoreOptions, 'url' | 'client'>, prefix: string): string {
  if (url === undefined) {
    const socket = socketOf(client);
    return `redis ${socket?.host ?? 'localhost'}:${socket?.port ?? 6379} (${prefix})`;
  }
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw invalid('url is no URL; it reads redis[s]://[[username][:password]@]host[:port][/db]');
  }
  if (parsed.protocol !== 'redis:' && parsed.protocol !== 'rediss:') throw invalid('url begins with redis:// or rediss://');
  if (!/^(\/\d*)?$/.test(parsed.pathname) || parsed.search !== '' || parsed.hash !== '')
    throw invalid(
      'url has more after the host than /db, the number of a database. In a name or password write / as %2F, ? as %3F, # as %23; the prefix is an option of its own',
    );
  return `redis ${parsed.hostname || 'localhost'}:${parsed.port || 6379}${parsed.pathname.length > 1 ? parsed.pathname : ''} (${prefix})`;
}
