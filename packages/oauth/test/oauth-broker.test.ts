import type { CredentialBroker, GrantHandle, IssueRequest } from '@offswitch/runtime';
import { describeCredentialBroker } from '@offswitch/testing';
import { ClientSecretBasic } from 'openid-client';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { oauthBroker } from '../src/oauth-broker.ts';
import { seal, unseal } from '../src/seal.ts';
import { isSelfContained } from '../src/self-contained.ts';
import { type AuthorizationServer, type AuthorizationServerOptions, authorizationServer } from './authorization-server.ts';

const sealingSecret = 'a secret that only tests know';
const servers: AuthorizationServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

const brokerOf = ({ issuer }: AuthorizationServer, more = {}): CredentialBroker =>
  oauthBroker({ issuer, clientId: 'agents', clientSecret: 'agents-secret', allowHttp: true, ...more });

async function started(
  options: AuthorizationServerOptions = {},
  more = {},
): Promise<{ server: AuthorizationServer; broker: CredentialBroker }> {
  const server = await authorizationServer(options);
  servers.push(server);
  return { server, broker: brokerOf(server, more) };
}

for (const [name, more] of [
  ['OAuth, sealed', { sealingSecret }],
  ['OAuth, nothing sealed', {}],
] as const)
  describeCredentialBroker(name, async () => {
    const server = await authorizationServer();
    return {
      broker: brokerOf(server, more),
      works: async ({ secret }) => (await server.introspect(secret)).active,
      otherProcess: async () => brokerOf(server, more),
      request: { scope: ['send'] },
      close: () => server.close(),
    };
  });

const request = (id: string, path: readonly string[], more: Partial<IssueRequest> = {}): IssueRequest => ({
  id,
  path,
  audience: '',
  scope: ['send'],
  ttlMs: 600_000,
  signal: new AbortController().signal,
  ...more,
});

async function lent(
  broker: CredentialBroker,
  id: string,
  path: readonly string[],
  more: Partial<IssueRequest> = {},
): Promise<GrantHandle & { secret: string }> {
  const issued = await broker.issue(request(id, path, more));
  if (issued.status !== 'issued') throw new Error(issued.why);
  return { id, path, secret: issued.secret, ...(issued.ref === undefined ? {} : { ref: issued.ref }) };
}

const soon = { deadline: Date.now() + 10_000 };

describe('a token lent to a session', () => {
  test('is exchanged from its parent’s, and revoked without it and its siblings (RFC 8693, I7)', async () => {
    const { server, broker } = await started();
    const root = await lent(broker, 'g-1', ['s-1']);
    const child = await lent(broker, 'g-2', ['s-1', 's-2'], { parent: root });
    const sibling = await lent(broker, 'g-3', ['s-1', 's-3'], { parent: root });
    const grandchild = await lent(broker, 'g-4', ['s-1', 's-2', 's-4'], { parent: child });
    expect(await server.introspect(grandchild.secret)).toMatchObject({
      active: true,
      scope: 'send',
      act: { sub: 'agents', act: { sub: 'agents', act: { sub: 'agents' } } },
    });
    expect(await broker.revoke(child, soon)).toMatchObject({ state: 'revoked', residualMs: 0 });
    const active = async (one: GrantHandle & { secret: string }): Promise<boolean> =>
      (await server.introspect(one.secret)).active;
    expect(await Promise.all([root, child, sibling, grandchild].map(active))).toEqual([true, false, true, true]);
    await broker.revoke(root, soon);
    expect(await active(sibling)).toBe(true);
  });

  test('is refused where the server revokes a whole chain at once: that is found out before anything is lent (I7)', async () => {
    const { server, broker } = await started({ isOneGrant: true });
    expect(await broker.issue(request('g-1', ['s-1']))).toMatchObject({
      status: 'refused',
      why: expect.stringContaining('a grant of its own'),
    });
    // The broken server would have done it: without the check a child's revocation takes its parent's access.
    const asked = server.requests.length;
    await broker.issue(request('g-2', ['s-2']));
    expect(server.requests.length).toBe(asked);
  });

  test('is exchanged from the subject’s own where the server exchanges no exchanged one', async () => {
    const { server, broker } = await started({}, { exchangeFrom: 'subject' });
    const root = await lent(broker, 'g-1', ['s-1']);
    const child = await lent(broker, 'g-2', ['s-1', 's-2'], { parent: root });
    expect((await server.introspect(child.secret)).act).toEqual({ sub: 'agents' });
  });

  test('is refused where it is self-contained: what cannot be revoked is not lent', async () => {
    const { broker } = await started({ isJwt: true });
    expect(await broker.issue(request('g-1', ['s-1']))).toMatchObject({
      status: 'refused',
      why: expect.stringContaining('self-contained (JWT)'),
    });
  });

  test('is refused with the server’s own words', async () => {
    const { broker } = await started();
    expect(await broker.issue(request('g-1', ['s-1'], { scope: ['forbidden'] }))).toEqual({
      status: 'refused',
      why: 'HTTP 400, invalid_scope: that is not yours to ask for',
    });
  });

  test('counts as perhaps issued when the server breaks off in the exchange, and as not issued before it', async () => {
    const { server, broker } = await started();
    await broker.issue(request('g-0', ['s-0']));
    server.fault = { path: '/token', status: 502 };
    await expect(broker.issue(request('g-1', ['s-1']))).rejects.toThrow('HTTP 502');
    server.fault = { path: '/.well-known/openid-configuration', status: 500 };
    expect(await brokerOf(server).issue(request('g-2', ['s-2']))).toMatchObject({ status: 'refused' });
    server.fault = undefined;
    expect((await broker.issue(request('g-3', ['s-3']))).status).toBe('issued');
  });

  test('counts as not issued where there was nobody to ask: a server that is down leaves no doubts', async () => {
    const { server, broker } = await started();
    await broker.issue(request('g-0', ['s-0']));
    await server.close();
    // What was sent on an open connection is lost with it; after that there is none.
    await broker.issue(request('g-1', ['s-1'])).catch(() => undefined);
    expect(await broker.issue(request('g-2', ['s-2']))).toMatchObject({
      status: 'refused',
      why: expect.stringContaining('ECONNREFUSED'),
    });
  });

  test('begins with the token of whom the graph acts for, where there is one', async () => {
    const { server } = await started();
    const own = await lent(brokerOf(server), 'g-1', ['s-1']);
    const asked: string[] = [];
    const subjectToken = ({ path }: Pick<IssueRequest, 'path'>): string => {
      asked.push(path.join('/'));
      return own.secret;
    };
    await lent(brokerOf(server, { subjectToken }), 'g-2', ['s-9']);
    expect(asked).toEqual(['s-9']);
    expect(await brokerOf(server, { subjectToken: () => 'nobody knows it' }).issue(request('g-3', ['s-8']))).toMatchObject({
      status: 'refused',
      why: expect.stringContaining('invalid_grant'),
    });
  });
});

describe('a token that is lent to nobody', () => {
  const unavailable = { path: '/token/revocation', status: 503 };
  const live = async ({ given, introspect }: AuthorizationServer): Promise<boolean[]> =>
    (await Promise.all(given.map(introspect))).map(({ active }) => active);

  test('since the server was tried with it is revoked again until it is gone, and until then there is no other (I4)', async () => {
    const { server, broker } = await started();
    server.fault = unavailable;
    expect((await broker.issue(request('g-1', ['s-1']))).status).toBe('refused');
    expect(await broker.issue(request('g-2', ['s-1']))).toMatchObject({ why: expect.stringContaining('has not revoked yet') });
    expect(await live(server)).toEqual([true, true, true]);
    server.fault = undefined;
    await vi.waitFor(async () => expect(await live(server)).toEqual([false, false, false]), { timeout: 10_000 });
    expect((await broker.issue(request('g-3', ['s-1']))).status).toBe('issued');
  });

  test('since the server was tried with it is revoked when the broker is closed', async () => {
    const { server, broker } = await started();
    server.fault = unavailable;
    await broker.issue(request('g-1', ['s-1']));
    server.fault = undefined;
    await broker.close!();
    expect(await live(server)).toEqual([false, false, false]);
  });

  test('since nobody could say how long it lives is revoked (I4)', async () => {
    const { server, broker } = await started({ isSilent: true });
    await lent(broker, 'g-1', ['s-1']);
    server.fault = { path: '/token/introspection', status: 503 };
    expect(await broker.issue(request('g-2', ['s-1']))).toMatchObject({
      status: 'refused',
      why: expect.stringContaining('how long its token lives: HTTP 503'),
    });
    server.fault = undefined;
    expect((await live(server)).slice(-2)).toEqual([true, false]);
  });

  test('since it lives longer than was said of the server is revoked', async () => {
    const { server, broker } = await started({}, { maxLifetimeMs: 60_000 });
    expect(broker.caps.maxLifetimeMs).toBe(60_000);
    expect(await broker.issue(request('g-1', ['s-1']))).toMatchObject({
      status: 'refused',
      why: expect.stringContaining('maxLifetimeMs is 60000'),
    });
    expect(await live(server)).toEqual([false, false, false, false]);
  });

  test('and cannot be revoked now goes to who asked, with no end, to be taken back from there (I4)', async () => {
    const { server, broker } = await started({}, { maxLifetimeMs: 60_000, sealingSecret });
    await broker.issue(request('g-0', ['s-1']));
    server.fault = unavailable;
    const issued = await broker.issue(request('g-1', ['s-1']));
    expect(issued).toMatchObject({ status: 'issued', expiresAt: Number.NaN });
    server.fault = undefined;
    const { ref } = issued as { ref: string };
    expect((await broker.revoke({ id: 'g-1', path: ['s-1'], ref }, soon)).state).toBe('revoked');
    expect((await live(server)).at(-1)).toBe(false);
  });
});

describe('a revocation', () => {
  test('that the server has no time for leaves the token alive, and is to be tried when it says (RFC 7009 section 2.2.1)', async () => {
    const { server, broker } = await started();
    const grant = await lent(broker, 'g-1', ['s-1']);
    server.fault = { path: '/token/revocation', status: 503, headers: { 'retry-after': '7' } };
    expect(await broker.revoke(grant, soon)).toEqual({ state: 'pending', why: 'HTTP 503', retryAfterMs: 7_000 });
    expect((await server.introspect(grant.secret)).active).toBe(true);
    server.fault = undefined;
    expect((await broker.revoke(grant, soon)).state).toBe('revoked');
    expect(await broker.verify!(grant)).toBe('inactive');
  });

  test('that fails is told of without the token, which a server may repeat in its error', async () => {
    const { server, broker } = await started();
    const grant = await lent(broker, 'g-1', ['s-1']);
    server.fault = {
      path: '/token/revocation',
      status: 400,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ error: 'invalid_request', error_description: `cannot revoke ${grant.secret} right now` }),
    };
    expect(await broker.revoke(grant, soon)).toEqual({
      state: 'pending',
      why: 'HTTP 400, invalid_request: cannot revoke *** right now',
    });
  });

  test('and everything else that fails is told of without what this client proved itself with, in each form in which it is sent', async () => {
    const secret = "p@ss w!*'()~x";
    const encoded = 'p%40ss+w%21%2A%27%28%29%7Ex';
    const basic = btoa(`agents:${encoded}`);
    for (const [more, sent] of [
      [{ clientSecret: secret }, [secret, 'p%40ss+w%21*%27%28%29%7Ex', "p%40ss%20w!*'()~x"]],
      [{ clientSecret: undefined, clientAuthentication: ClientSecretBasic(secret) }, [secret, encoded, basic]],
    ] as const) {
      const { server, broker } = await started({}, more);
      server.fault = {
        path: '/token',
        status: 400,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ error: 'invalid_client', error_description: `who is ${sent.join(' or ')}?` }),
      };
      const told = JSON.stringify(await broker.issue(request('g-1', ['s-1'])));
      expect(told).toContain('who is *** or *** or ***?');
    }
  });

  test('that the server does not know for such tokens is said to be impossible', async () => {
    const { server, broker } = await started();
    const grant = await lent(broker, 'g-1', ['s-1']);
    server.fault = {
      path: '/token/revocation',
      status: 400,
      headers: { 'content-type': 'application/json' },
      body: '{"error":"unsupported_token_type"}',
    };
    expect(await broker.revoke(grant, soon)).toMatchObject({ state: 'irrevocable' });
  });

  test('is pending while the server cannot be reached, and its state then unknown', async () => {
    const { server, broker } = await started();
    const grant = await lent(broker, 'g-1', ['s-1']);
    await server.close();
    expect((await broker.revoke(grant, soon)).state).toBe('pending');
    expect(await broker.verify!(grant)).toBe('unknown');
  });

  test('states how long resource servers may go by what they have cached', async () => {
    const { broker } = await started({}, { resourceCacheMs: 5_000 });
    expect(broker.caps.maxResidualMs).toBe(5_000);
    expect(await broker.revoke(await lent(broker, 'g-1', ['s-1']), soon)).toMatchObject({ state: 'revoked', residualMs: 5_000 });
  });
});

describe('a sealed token', () => {
  test('opens with its secret for its grant, and otherwise not', () => {
    const ref = seal(sealingSecret, 'g-1', 'the token');
    expect(ref).not.toContain('the token');
    expect(unseal(sealingSecret, 'g-1', ref)).toBe('the token');
    expect(unseal(sealingSecret, 'g-2', ref)).toBeUndefined();
    expect(unseal('another secret of tests', 'g-1', ref)).toBeUndefined();
    expect(unseal(sealingSecret, 'g-1', `${ref.slice(0, -2)}${ref.endsWith('AA') ? 'BB' : 'AA'}`)).toBeUndefined();
    expect(unseal(sealingSecret, 'g-1', 'ref-g-1')).toBeUndefined();
  });
});

describe('what is wrong with the options', () => {
  test('is said at once', () => {
    const good = { issuer: 'https://id.example.com', clientId: 'agents' };
    for (const bad of [
      { issuer: 'http://id.example.com' },
      { issuer: 'ftp://x', allowHttp: true },
      { issuer: 'x' },
      { clientId: '' },
      { sealingSecret: 'short' },
      { maxLifetimeMs: 0 },
      { maxLifetimeMs: Number.POSITIVE_INFINITY },
    ])
      expect(() => oauthBroker({ ...good, ...bad })).toThrow(expect.objectContaining({ code: 'invalid_option' }));
  });

  test('a token is called self-contained by its header alone', () => {
    const header = Buffer.from('{"alg":"none"}').toString('base64url');
    expect([`${header}.e30.`, `${header}.a.b.c.d`, 'a.b.c', 'opaque', `${header}.x`].map(isSelfContained)).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
  });
});
