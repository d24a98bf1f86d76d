// users.process.test.ts: the broker of Redis users, over a real Redis.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineKillSwitches, type KillSwitches } from '@offswitch/core';
import { type RedisUserBrokerOptions, redisUserBroker } from '@offswitch/redis/grants';
import { type CredentialBroker, createRuntime, type Issued, type IssueRequest, memoryStore } from '@offswitch/runtime';
import { describeCredentialBroker, type LocalRedis, memorySource, openFaultProxy, startLocalRedis } from '@offswitch/testing';
import { createClient } from 'redis';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { describeRedis } from './real-redis.ts';

type Lent = Extract<Issued, { status: 'issued' }>;
const soon = { deadline: Date.now() + 600_000 };
const rules = ['~letters:*', '+get', '+set', '+ping'];

describeRedis('a broker of Redis users', () => {
  let server: LocalRedis;
  const brokers: CredentialBroker[] = [];
  const clients: { destroy(): void; readonly isOpen: boolean }[] = [];
  beforeAll(async () => {
    server = await startLocalRedis();
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) if (client.isOpen) client.destroy();
    for (const broker of brokers.splice(0)) await broker.close?.();
  });
  afterAll(() => server.close());

  const brokerOf = (more: Partial<RedisUserBrokerOptions> = {}): CredentialBroker => {
    const broker = redisUserBroker({ url: server.url, rules, ...more });
    brokers.push(broker);
    return broker;
  };
  /** A connection with a lent user, as a tool makes it. */
  const connected = async ({ username, secret }: Pick<Lent, 'username' | 'secret'>) => {
    const client = createClient({ url: server.url, username: username!, password: secret, socket: { reconnectStrategy: false } });
    client.on('error', () => {});
    clients.push(client);
    await client.connect();
    return client;
  };
  const works = (issued: Lent): Promise<boolean> =>
    connected(issued).then(
      (client) => client.ping().then((answer) => answer === 'PONG'),
      () => false,
    );
  const request = (id: string, more: Partial<IssueRequest> = {}): IssueRequest => ({
    id,
    path: ['s-1'],
    audience: '',
    scope: [],
    ttlMs: 60_000,
    signal: new AbortController().signal,
    ...more,
  });
  const lend = async (broker: CredentialBroker, id: string, more: Partial<IssueRequest> = {}): Promise<Lent> => {
    const issued = await broker.issue(request(id, more));
    if (issued.status !== 'issued') throw new Error(issued.why);
    return issued;
  };

  describeCredentialBroker('redis users', async () => {
    const own: CredentialBroker[] = [];
    const make = (): CredentialBroker => {
      const broker = redisUserBroker({ url: server.url, rules });
      own.push(broker);
      return broker;
    };
    return {
      broker: make(),
      works,
      otherProcess: async () => make(),
      close: async () => {
        for (const broker of own) await broker.close?.();
      },
    };
  });

  test('ends a connection that was open before the stop (I4)', async () => {
    const broker = brokerOf();
    const client = await connected(await lend(broker, 'g-open'));
    expect(await client.set('letters:1', 'Dear sir')).toBe('OK');
    const ended = new Promise((resolve) => client.on('error', resolve));
    expect(await broker.revoke({ id: 'g-open', path: ['s-1'] }, soon)).toMatchObject({
      state: 'revoked',
      evidence: 'the server deleted the user and ended its connections',
    });
    await ended;
    await expect(client.set('letters:2', 'Dear sir')).rejects.toThrow();
  });

  test('lends what its rules allow and nothing else, made from what the tool asked for', async () => {
    const broker = brokerOf({ rules: ({ audience, scope }) => [`~${audience}:*`, ...scope.map((one) => `+${one}`)] });
    const client = await connected(await lend(broker, 'g-rules', { audience: 'letters', scope: ['get'] }));
    expect(await client.get('letters:1')).toBeDefined();
    await expect(client.get('secrets:1')).rejects.toThrow('NOPERM');
    await expect(client.set('letters:1', 'x')).rejects.toThrow('NOPERM');
  });

  test('never lends a user without a password, whatever its rules say', async () => {
    const { username } = await lend(brokerOf({ rules: ['nopass', '>guessed', '+ping'] }), 'g-nopass');
    expect(await works({ status: 'issued', username: username!, secret: 'guessed', expiresAt: 0 })).toBe(false);
  });

  test('refuses with the server’s words what the server refuses, and has lent nothing', async () => {
    const broker = brokerOf({ rules: ['+nosuchcommand'] });
    expect(await broker.issue(request('g-bad'))).toMatchObject({
      status: 'refused',
      why: expect.stringContaining('nosuchcommand'),
    });
    expect(await server.command('ACL', 'USERS')).not.toContain('g-bad');
  });

  test('does not know whether it lent, or revoked, while the server hangs; and comes back by itself', async () => {
    const proxy = await openFaultProxy({ port: server.port });
    const url = `redis://127.0.0.1:${proxy.port}`;
    try {
      const broker = brokerOf({ url, timeoutMs: 200 });
      const issued = await lend(broker, 'g-cut');
      await proxy.mode('black-hole');
      await expect(broker.issue(request('g-lost'))).rejects.toThrow();
      expect(await broker.revoke({ id: 'g-cut', path: ['s-1'] }, soon)).toMatchObject({ state: 'pending' });
      expect(await broker.verify!({ id: 'g-cut', path: ['s-1'] })).toBe('unknown');
      await proxy.heal();
      expect(await broker.revoke({ id: 'g-cut', path: ['s-1'] }, soon)).toMatchObject({ state: 'revoked' });
      expect(await works(issued)).toBe(false);
    } finally {
      await proxy.close();
    }
  });

  test('does not let a user come back with a restart of a server that keeps them in a file', async () => {
    const place = mkdtempSync(join(tmpdir(), 'offswitch-acl-'));
    const file = join(place, 'users.acl');
    writeFileSync(file, 'user default on nopass ~* &* +@all\n');
    const own = await startLocalRedis({ config: [['aclfile', file]] });
    try {
      const broker = brokerOf({ url: own.url, savesAclFile: true });
      await lend(broker, 'g-saved');
      await own.command('ACL', 'SAVE');
      await broker.revoke({ id: 'g-saved', path: ['s-1'] }, soon);
      await own.kill();
      await own.start();
      expect(await own.command('ACL', 'USERS')).toBe('default');
      expect(await broker.verify!({ id: 'g-saved', path: ['s-1'] })).toBe('inactive');
    } finally {
      await own.close();
      rmSync(place, { recursive: true, force: true });
    }
  });

  test('says what is wrong with its options at once', () => {
    for (const bad of [{}, { url: 'redis://x', prefix: 'a b' }, { url: 'redis://x', timeoutMs: 0 }])
      expect(() => redisUserBroker({ rules, ...bad })).toThrow(expect.objectContaining({ code: 'invalid_option' }));
  });

  test('cuts a stopped session off in the middle of its work (I4)', async () => {
    const { url } = server;
    const switches = defineKillSwitches({
      global: { authorized: ['on-call'] },
      features: { letters: { authorized: ['on-call'] } },
    });
    const source = memorySource(switches as KillSwitches);
    const store = memoryStore();
    let client: Awaited<ReturnType<typeof connected>> | undefined;
    const before = await server.command('ACL', 'USERS');
    // #region lend
    const letters = redisUserBroker({ url, rules: ['~letters:*', '+set'] }); // of a user with +acl; `url` stays in this process
    const runtime = await createRuntime({ switches, source, store, brokers: { letters } });
    const writer = runtime.agent('letters', (session) =>
      session.turn((turn) =>
        turn.tool('write', {}, async (_, context) => {
          client = await connected(await context.grant('letters')); // { username, secret }, this session's own
          for (let n = 0; ; n++) await client.set(`letters:${n}`, 'Dear sir');
        }),
      ),
    );
    // #endregion
    const { id } = writer.start(undefined);
    await vi.waitFor(async () => expect(await server.command('EXISTS', 'letters:10')).toBe('1'), 10_000);
    await runtime.stop({ session: id, reason: 'it writes to everybody', by: 'ada' });
    await vi.waitFor(
      async () => expect((await runtime.receipts())[0]?.grants).toMatchObject([{ session: id, state: 'revoked' }]),
      10_000,
    );
    await vi.waitFor(() => expect(client?.isOpen).toBe(false), 10_000);
    expect(await server.command('ACL', 'USERS')).toBe(before);
    await runtime.close();
  });
});
