// seal.ts: a token as it may be written down: readable only by who has the sealing secret, and only as the grant it was sealed for.
//
// RFC 7009 wants the token itself to revoke it, so a process that takes over from a dead one must have it from somewhere.

import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

const version = 'v1';

function keyOf(secret: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', 'offswitch oauth grant', 32));
}

/** AES-256-GCM; `id` is bound in, so that one grant's seal opens for no other. */
export function seal(secret: string, id: string, token: string): string {
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', keyOf(secret), iv);
  cipher.setAAD(Buffer.from(id));
  const sealed = Buffer.concat([cipher.update(token, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return `${version}.${iv.toString('base64url')}.${sealed.toString('base64url')}`;
}

/** `undefined` for what was sealed with another secret, for another grant, or not by us. */
export function unseal(secret: string, id: string, ref: string): string | undefined {
  const [found, iv, sealed] = ref.split('.');
  if (found !== version || !iv || !sealed) return undefined;
  try {
    const bytes = Buffer.from(sealed, 'base64url');
    const decipher = createDecipheriv('aes-256-gcm', keyOf(secret), Buffer.from(iv, 'base64url'));
    decipher.setAAD(Buffer.from(id));
    decipher.setAuthTag(bytes.subarray(-16));
    return Buffer.concat([decipher.update(bytes.subarray(0, -16)), decipher.final()]).toString('utf8');
  } catch {
    return undefined;
  }
}
