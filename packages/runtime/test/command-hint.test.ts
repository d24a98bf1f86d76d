import { join, resolve } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { commandFor } from '../src/command-hint.ts';

afterEach(() => vi.unstubAllEnvs());

describe('a command in a message can be copied as it stands', () => {
  test('it names the state folder where the command would not find it by itself', () => {
    vi.stubEnv('OFFSWITCH_STATE', '');
    expect(commandFor({ location: '/srv/studio/state' })).toBe('offswitch --state /srv/studio/state');
    expect(commandFor({ location: "/srv/ada's state" })).toBe("offswitch --state '/srv/ada'\\''s state'");
  });
  test('it names the prefix of a store in Redis, where it is another than by default, and where the environment has its address, not that', () => {
    vi.stubEnv('OFFSWITCH_STATE', '');
    vi.stubEnv('REDIS_URL', 'redis://ann:secret@h:6379/0');
    expect(commandFor({ location: 'redis h:6379/0 (os1)' })).toBe('offswitch --state "$REDIS_URL"');
    for (const location of ['redis h:6379 ({os1})', 'redis://h:6379/0?prefix={os1}'])
      expect(commandFor({ location })).toBe('offswitch --state "$REDIS_URL?prefix={os1}"');
    expect(commandFor({ location: 'redis://h:6379' })).toBe('offswitch --state "$REDIS_URL"');
  });
  test('it has the address of a store in Redis where the environment does not, and never what may be a credential', () => {
    vi.stubEnv('OFFSWITCH_STATE', '');
    vi.stubEnv('REDIS_URL', '');
    expect(commandFor({ location: 'redis h:6379/0 (os1)' })).toBe('offswitch --state "redis://h:6379/0"');
    expect(commandFor({ location: 'redis h:6379 ({os1})' })).toBe('offswitch --state "redis://h:6379?prefix={os1}"');
    expect(commandFor({ location: 'redis://ann:secret@h:6379' })).toBe('offswitch --state "$REDIS_URL"');
  });
  test('and not where it is the default one, that of the environment, or none', () => {
    vi.stubEnv('OFFSWITCH_STATE', '');
    expect(commandFor({ location: join(resolve('.'), '.offswitch') })).toBe('offswitch');
    vi.stubEnv('OFFSWITCH_STATE', '/srv/there');
    expect(commandFor({ location: '/srv/there' })).toBe('offswitch');
    expect(commandFor({})).toBe('offswitch');
  });
});
