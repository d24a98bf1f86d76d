// self-contained.ts: is a token a JWT? Whoever checks its signature alone takes it until it runs out, whatever was revoked.

/** Why such a token is not lent. */
export const selfContained =
  'the server issues self-contained (JWT) access tokens, which work until they run out whatever is revoked; have it issue opaque ones for this client';

/** A header with an `alg`, and as many parts as a JWS (three) or a JWE (five) has: RFC 7515 section 3.1, RFC 7516 section 3.1. */
export function isSelfContained(token: string): boolean {
  const parts = token.split('.');
  if (parts.length !== 3 && parts.length !== 5) return false;
  try {
    const header: unknown = JSON.parse(Buffer.from(parts[0]!, 'base64url').toString('utf8'));
    return typeof header === 'object' && header !== null && 'alg' in header;
  } catch {
    return false;
  }
}
