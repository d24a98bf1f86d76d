// path-spawn.process.test.ts: the path in the environment of a real process: there, beside what was there, and nowhere in its arguments.

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { carrierOf, sealPath, signRoot, spawnCarrying, takeToken } from '@offswitch/runtime';
import { describe, expect, test } from 'vitest';

const token = sealPath(signRoot([{ id: 'k1', secret: new Uint8Array(32).fill(7) }], { session: 's-1' }), { expiresAt: 1 });
const carry = async () => carrierOf(token);
const script = 'console.log(JSON.stringify([process.env.OFFSWITCH_PATH, process.env.OWN, process.argv, process.execArgv]))';

async function said(child: ChildProcess): Promise<readonly unknown[]> {
  let text = '';
  child.stdout!.on('data', (chunk) => {
    text += String(chunk);
  });
  await once(child, 'close');
  return JSON.parse(text) as unknown[];
}

describe('a process that is started carrying', () => {
  test('has the path in its environment, beside the one it was given, and not in its arguments', async () => {
    const child = await spawnCarrying(carry, process.execPath, ['-e', script, 'own'], {
      env: { OWN: '1', OFFSWITCH_PATH: 'older' },
    });
    const [path, own, ...args] = await said(child);
    expect([path, own]).toEqual([token, '1']);
    expect(JSON.stringify(args)).toContain('own');
    expect(JSON.stringify(args)).not.toContain(token);
    expect(child.spawnargs.join(' ')).not.toContain(token);
  });

  test('has the environment of its parent where none was given, and the parent keeps its own', async () => {
    process.env.OWN = 'inherited';
    try {
      const [path, own] = await said(await spawnCarrying(carry, process.execPath, ['-e', script]));
      expect([path, own]).toEqual([token, 'inherited']);
      expect(process.env).not.toHaveProperty('OFFSWITCH_PATH');
    } finally {
      delete process.env.OWN;
    }
  });

  test('is not started where there is no path to carry', async () => {
    await expect(spawnCarrying(() => Promise.reject(new Error('session ended')), process.execPath)).rejects.toThrow(
      'session ended',
    );
  });

  test('takes the path out of its environment as it reads it, so that what it starts does not pass for its sibling (S2)', () => {
    const env: NodeJS.ProcessEnv = { OFFSWITCH_PATH: token, OWN: '1' };
    expect(takeToken(env)).toBe(token);
    expect(env).toEqual({ OWN: '1' });
    expect(takeToken(env)).toBeUndefined();
    const broken: NodeJS.ProcessEnv = { OFFSWITCH_PATH: '' };
    expect(() => takeToken(broken)).toThrow(/path_malformed/);
    expect(broken).toEqual({});
  });
});
