// readme.test.ts: the program of the README, over the real oidc-provider in this process.

import { defineKillSwitches, type KillSwitches } from '@offswitch/core';
import { oauthBroker } from '@offswitch/oauth';
import { createRuntime, memoryStore } from '@offswitch/runtime';
import { memorySource } from '@offswitch/testing';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type AuthorizationServer, authorizationServer } from './authorization-server.ts';

let server: AuthorizationServer;
afterEach(() => server.close());

describe('the program of the README', () => {
  test('lends a token to a tool, and the stop of the session takes it back (I4)', async () => {
    server = await authorizationServer();
    const { issuer } = server;
    const allowHttp = true;
    const clientSecret = 'agents-secret';
    const sealingSecret = 'a secret that only tests know';
    const switches = defineKillSwitches({
      global: { authorized: ['on-call'] },
      features: { letters: { authorized: ['on-call'] } },
      instance: { authorized: ['on-call'] },
    });
    const source = memorySource(switches as KillSwitches);
    const store = memoryStore();
    const sent: string[] = [];
    const sendLetter = (_letter: string, token: string): Promise<never> => {
      sent.push(token);
      return new Promise(() => {});
    };
    // #region lend
    const mail = oauthBroker({ issuer, clientId: 'agents', clientSecret, sealingSecret, allowHttp }); // allowHttp: in tests only
    const runtime = await createRuntime({ switches, source, store, brokers: { mail } });

    const letters = runtime.agent('letters', async (session, letter: string) => {
      await session.turn((turn) =>
        turn.tool('send-letter', { letter }, async ({ letter }, context) => {
          const { secret } = await context.grant('mail', { scope: ['send'] }); // this session's own token
          await sendLetter(letter, secret);
        }),
      );
    });
    const { id } = letters.start('Dear sir');
    // #endregion
    await vi.waitFor(() => expect(sent).toHaveLength(1), 10_000);
    const [token] = sent as [string];
    expect((await server.introspect(token)).active).toBe(true);
    await runtime.stop({ session: id, reason: 'it writes to everybody', by: 'ada' });
    await vi.waitFor(
      async () => expect((await runtime.receipts())[0]?.grants).toMatchObject([{ session: id, state: 'revoked' }]),
      10_000,
    );
    expect((await server.introspect(token)).active).toBe(false);
    await runtime.close();
  });
});
