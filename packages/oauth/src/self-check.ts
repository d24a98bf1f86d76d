// self-check.ts: does revoking one exchanged token leave the others alone? Asked of the server itself, before it is trusted with that.
//
// Some servers revoke by grant and put every exchange of a chain into one: then a sub-agent's stop would cut off its parent and
// its siblings (I7). oidc-provider does so where the exchange keeps the `grantId` of the subject (its lib/helpers/revoke.js).

import { isSelfContained, selfContained } from './self-contained.ts';
import type { Server } from './server.ts';
import type { Unwanted } from './unwanted.ts';

/** Why the server cannot be used; `undefined` where it can, or cannot be asked. Throws what openid-client throws. */
export async function checkSeparate(
  server: Server,
  unwanted: Unwanted,
  subjectToken: string,
  parameters: Readonly<Record<string, string>>,
  nests: boolean,
): Promise<string | undefined> {
  if (!(await server.canIntrospect())) return undefined;
  const made: string[] = [];
  const exchange = async (from: string): Promise<string> => {
    const { token } = await server.exchange(from, parameters);
    made.push(token);
    return token;
  };
  try {
    const parent = await exchange(subjectToken);
    if (isSelfContained(parent)) return selfContained;
    const child = await exchange(nests ? parent : subjectToken);
    const sibling = await exchange(nests ? parent : subjectToken);
    // What it does not know as active before says nothing afterwards.
    const before = await Promise.all([parent, sibling].map((token) => server.introspect(token)));
    if (before.some(({ isActive }) => !isActive)) return undefined;
    await server.revoke(child);
    const after = await Promise.all([parent, sibling].map((token) => server.introspect(token)));
    if (after.every(({ isActive }) => isActive)) return undefined;
    return 'revoking one exchanged token revoked its parent or sibling too: let the server give each token exchange a grant of its own';
  } finally {
    await unwanted.drop(made);
  }
}
