import { lintFlagFile, showFinding } from '@offswitch/flag-file';
import { contractSwitches } from '@offswitch/testing';
import { describe, expect, test } from 'vitest';

const flag = (body: string, key = 'killswitch.user') => `{\n  "flags": {\n    "${key}": ${body}\n  }\n}`;
const variants = '"variants": {"engaged": true, "released": false}';
const sound = `"state": "ENABLED", ${variants}, "defaultVariant": "released"`;
const ruled = (rule: string) => flag(`{${sound}, "targeting": ${rule}}`);
const codes = (text: string) => lintFlagFile(text).map((one) => [one.code, one.severity, one.line] as const);

describe('the linter finds, with line and way out,', () => {
  test.each([
    ['an empty file', '', 'empty-file', 1, /provision/],
    ['a file cut off in the middle', '{\n  "flags": {\n    "a": {"sta', 'half-written', 3, /save it again/],
    ['a file cut off after a value', '{"flags": {}', 'half-written', 1, /cut off/],
    ['what is no JSON', '{\n  flags: 1\n}', 'not-json', 2, /comma/],
    ['a trailing comma', '{\n  "flags": {},\n}', 'not-json', 3, /comma/],
    ['a comment', '{\n  // why\n  "flags": {}\n}', 'comment', 2, /description/],
    ['a byte order mark', '\uFEFF{"flags": {}}', 'not-json', 1, /byte order mark/],
    ['an array at the root', '[]', 'wrong-root', 1, /one JSON object/],
    ['no flags', '{"metadata": {}}', 'missing-flags', 1, /"flags"/],
    ['flags as an array', '{"flags": []}', 'wrong-root', 1, /object from key to flag/],
    ['flags twice', '{"flags": {},\n"flags": {}}', 'duplicate-key', 2, /merge/],
    ['empty flags', '{"flags": {}}', 'empty-flags', 1, /provision/],
    ['a revision that is no number', '{"metadata": {"offswitch.revision": "7"}, "flags": {}}', 'bad-revision', 1, /whole number/],
    [
      'a revision past safe integers',
      '{"metadata": {"offswitch.revision": 9007199254740992}, "flags": {}}',
      'bad-revision',
      1,
      /whole/,
    ],
    ['a misspelt member', flag(`{${sound}, "targetting": {}}`), 'unknown-member', 3, /did you mean "targeting"\?/],
    ['an unknown member', flag(`{${sound}, "owner": "me"}`), 'unknown-member', 3, /means nothing/],
    ['an unknown operator', ruled('{"if": [{"inn": [1, [2]]}, "engaged", null]}'), 'unknown-operator', 3, /"inn"/],
    ['a rule that names a missing variant', ruled('{"if": [true, "engagd", null]}'), 'missing-variant', 3, /"engagd"/],
    ['a rule that answers a boolean', ruled('{"in": [{"var": "userId"}, ["u"]]}'), 'missing-variant', 3, /answers true or false/],
    ['a rule with two operators', ruled('{"if": [true, "engaged", null], "or": []}'), 'bad-rule', 3, /exactly one operator/],
    ['a reference to nothing', ruled('{"$ref": "nobody"}'), 'unknown-reference', 3, /"nobody"/],
    [
      'a variable the switch is not read with',
      ruled('{"if": [{"==": [{"var": "userid"}, "u"]}, "engaged", null]}'),
      'unknown-variable',
      3,
      /userId/,
    ],
    [
      'the substring trap',
      ruled('{"if": [{"in": [{"var": "userId"}, "u1,u2"]}, "engaged", null]}'),
      'substring-in',
      3,
      /write a list/,
    ],
    [
      'an id without quotes',
      ruled('{"if": [{"in": [{"var": "userId"}, [17]]}, "engaged", null]}'),
      'non-string-id',
      3,
      /strings/,
    ],
    ['no default', flag(`{"state": "ENABLED", ${variants}}`), 'missing-default', 3, /nobody is targeted/],
    ['a null default', flag(`{"state": "ENABLED", ${variants}, "defaultVariant": null}`), 'missing-default', 3, /nobody/],
    [
      'a default that is no variant',
      flag(`{"state": "ENABLED", ${variants}, "defaultVariant": "off"}`),
      'missing-variant',
      3,
      /"off"/,
    ],
    ['no variants', flag('{"state": "ENABLED", "variants": {}, "defaultVariant": "a"}'), 'missing-variants', 3, /at least one/],
    ['a bad state', flag(`{"state": "ON", ${variants}, "defaultVariant": "released"}`), 'bad-state', 3, /ENABLED/],
    [
      'a disabled switch',
      flag(`{"state": "DISABLED", ${variants}, "defaultVariant": "released"}`),
      'disabled',
      3,
      /stops nobody/,
    ],
    [
      'mixed types',
      flag('{"state": "ENABLED", "variants": {"a": true, "b": "no"}, "defaultVariant": "a"}'),
      'mixed-types',
      3,
      /one type/,
    ],
    [
      'a switch of strings',
      flag('{"state": "ENABLED", "variants": {"a": "true", "b": "false"}, "defaultVariant": "a"}'),
      'wrong-type',
      3,
      /without quotes/,
    ],
    [
      'a switch with one side',
      flag('{"state": "ENABLED", "variants": {"a": false, "b": false}, "defaultVariant": "a"}'),
      'one-sided',
      3,
      /false/,
    ],
    ['a flag that is none', flag('true'), 'bad-flag', 3, /object/],
    ['a flag twice', '{"flags": {\n"killswitch.user": 1,\n"killswitch.user": 2}}', 'duplicate-key', 3, /delete one/],
    ['a member twice', flag(`{${sound},\n "state": "ENABLED"}`), 'duplicate-key', 4, /only the last counts/],
  ] as const)('%s', (_what, text, code, line, wayOut) => {
    const found = lintFlagFile(text).find((one) => one.code === code);
    expect(found, JSON.stringify(lintFlagFile(text))).toMatchObject({ code, severity: 'error', line });
    expect(found!.message).toMatch(wayOut);
    expect(found!.column).toBeGreaterThan(0);
  });

  test('a declared user or session switch that is rolled out to a share of everybody, since canaries can miss one (S11)', () => {
    const rule = '{"fractional": [{"var": "sessionId"}, ["engaged", 1], ["released", 99]]}';
    for (const [key, isFault] of [
      ['killswitch.user', true],
      ['killswitch.instance', true],
      ['killswitch.global', false],
    ] as const) {
      const found = lintFlagFile(flag(`{${sound}, "targeting": ${rule}}`, key), contractSwitches);
      expect(found.some((one) => one.code === 'untargeted' && one.message.includes('list the ids'))).toBe(isFault);
    }
  });

  test('a declared switch that is not there, and one whose variants say the opposite of its declaration', () => {
    const text = flag('{"state": "ENABLED", "variants": {"engaged": false, "released": true}, "defaultVariant": "released"}');
    const findings = lintFlagFile(text, contractSwitches);
    expect(findings.filter((one) => one.code === 'missing-switch').map((one) => one.flag)).toEqual([
      'killswitch.global',
      'killswitch.feature.resume-rewrite',
      'killswitch.feature.batch-scoring',
      'killswitch.instance',
    ]);
    expect(findings.filter((one) => one.code === 'inverted-polarity').map((one) => one.flag)).toEqual([
      'killswitch.user',
      'killswitch.user',
    ]);
  });

  test('nothing in the file that provisioning writes, nor in flagd rules that are right', () => {
    expect(codes(ruled('{"if": [{"in": [{"var": "userId"}, []]}, "engaged", null]}'))).toEqual([]);
    expect(
      codes(ruled('{"if": [{"and": [{"some": [["a"], {"==": [{"var": ""}, "a"]}]}, true]}, "engaged", "released"]}')),
    ).toEqual([]);
    expect(codes(ruled('{"fractional": [["engaged", 1], ["released", 99]]}'))).toEqual([]);
    const shared =
      '{"$evaluators": {"ours": {"in": [{"var": "userId"}, ["u"]]}}, "flags": {"killswitch.user": {SOUND, "targeting": {"if": [{"$ref": "ours"}, "engaged", null]}}}}';
    expect(codes(shared.replace('SOUND', sound))).toEqual([]);
  });

  test("somebody else's flag only as strictly as flagd's own rules: disabled, without default, substring search", () => {
    const other = flag(
      '{"state": "DISABLED", "variants": {"on": "x"}, "defaultVariant": null, "owner": "me", "targeting": {"if": [{"in": ["@x", {"var": "email"}]}, "on", null]}}',
      'checkout.banner',
    );
    expect(codes(other)).toEqual([['unknown-member', 'warning', 3]]);
    expect(codes(flag(`{${sound}, "targetting": {}}`, 'checkout.banner'))).toEqual([['unknown-member', 'error', 3]]);
  });

  test('the place in a form that terminals make clickable', () => {
    const [finding] = lintFlagFile('{"flags": {}}');
    expect(showFinding('a.json', finding!)).toMatch(/^a\.json:1:11: .* \[empty-flags\]$/);
  });

  test('a nesting that would exhaust the stack, without falling over', () => {
    const [finding] = lintFlagFile('['.repeat(200_000));
    expect(finding).toMatchObject({ severity: 'error' });
  });
});

describe('a user or session switch that is on for everybody', () => {
  test('is an error of the file: it is read as untargeted and stops nobody (S11, S13)', () => {
    const on = `{"state": "ENABLED", ${variants}, "defaultVariant": "engaged"}`;
    const { user, instance, global } = contractSwitches;
    for (const one of [user!, instance!]) {
      const found = lintFlagFile(flag(on, one.key), contractSwitches).filter(({ flag: key }) => key === one.key);
      expect(found).toMatchObject([
        { code: 'untargeted', severity: 'error', line: 3, message: expect.stringContaining('list ids') },
      ]);
    }
    expect(lintFlagFile(flag(on, global.key), contractSwitches).filter(({ flag: key }) => key === global.key)).toEqual([]);
  });
});
