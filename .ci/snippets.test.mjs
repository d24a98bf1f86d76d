// snippets.test.mjs: what the snippet check promises to people who write docs.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fill, main } from './snippets.mjs';

const program = `// main.ts: why it exists.
//
// More of the header.

import { gate } from 'offswitch';

export async function work() {
  // #region decide
  const decision = await gate.decide();
  // #region inner
  if (decision.action !== 'run') return;
  // #endregion
  // #endregion
}
`;
const files = {
  'main.ts': program,
  'out.txt': 'stopped 3\n\n',
  'twice.ts': '// #region a\n1\n// #endregion\n// #region a\n2\n// #endregion\n',
  'open.ts': '// #region a\n1\n',
};
const read = (path) => {
  if (files[path] === undefined) throw Object.assign(new Error('gone'), { code: 'ENOENT' });
  return files[path];
};
const page = (comment, body = 'old', open = '```ts', close = '```') => `before\n${comment}\n${open}\n${body}\n${close}\nafter\n`;
const filled = (comment) => fill(page(comment), read);

describe('a bound fence', () => {
  test('is filled with its region, dedented, without the marks of regions inside it', () => {
    const { text, differences, problems } = filled('<!-- snippet: main.ts#decide -->');
    assert.equal(
      text,
      page('<!-- snippet: main.ts#decide -->', "const decision = await gate.decide();\nif (decision.action !== 'run') return;"),
    );
    assert.deepEqual([differences.length, problems.length], [1, 0]);
  });

  test('without a region is the whole file', () => {
    const { text } = filled('<!-- snippet: main.ts -->');
    assert.match(text, /```ts\n\/\/ main\.ts: why it exists\./);
    assert.doesNotMatch(text, /#region|#endregion/);
  });

  test('leaves out the comment the file opens with, when asked', () => {
    assert.match(filled('<!-- snippet: main.ts no-header -->').text, /```ts\nimport \{ gate \}/);
  });

  test('holds what a program printed, without the blank lines at its end', () => {
    assert.equal(filled('<!-- output: out.txt -->').text, page('<!-- output: out.txt -->', 'stopped 3'));
  });

  test('that is up to date does not differ, and filling twice changes nothing', () => {
    const once = filled('<!-- snippet: main.ts#decide -->').text;
    const twice = fill(once, read);
    assert.equal(twice.text, once);
    assert.equal(twice.differences.length, 0);
  });

  test('keeps the indentation of a list it stands in', () => {
    const { text } = fill('- x\n\n  <!-- output: out.txt -->\n\n  ```\n  old\n  ```\n', read);
    assert.match(text, /\n {2}```\n {2}stopped 3\n {2}```\n/);
  });
});

describe('what cannot be filled is a problem and is left as it was', () => {
  const cases = {
    'a file that is gone': ['<!-- snippet: gone.ts -->', /gone\.ts cannot be read \(ENOENT\)/],
    'a region that is gone, naming the ones there are': [
      '<!-- snippet: main.ts#decode -->',
      /no region decode \(it has: decide, inner\)/,
    ],
    'a region that exists twice': ['<!-- snippet: twice.ts#a -->', /more than one region a/],
    'a region that never ends': ['<!-- snippet: open.ts#a -->', /never ended/],
    'a comment that is misspelt': ['<!-- snippet: main.ts # decide -->', /cannot be understood/],
  };
  for (const [name, [comment, message]] of Object.entries(cases)) {
    test(name, () => {
      const { text, problems } = filled(comment);
      assert.equal(problems.length, 1);
      assert.match(problems[0].message, message);
      assert.equal(text, page(comment));
    });
  }

  test('a comment with no fence after it', () => {
    assert.match(fill('<!-- snippet: main.ts -->\ntext\n', read).problems[0].message, /not followed by a fenced block/);
    assert.match(fill('<!-- snippet: main.ts -->\n', read).problems[0].message, /not followed by a fenced block/);
  });

  test('a fence that the file would close too early', () => {
    files['fence.ts'] = '/*\n```\n*/\n';
    assert.match(filled('<!-- snippet: fence.ts -->').problems[0].message, /longer fence/);
    assert.equal(fill(page('<!-- snippet: fence.ts -->', 'old', '````ts', '````'), read).problems.length, 0);
  });
});

test('a comment shown inside a fence is text, not an order', () => {
  const text = '```md\n<!-- snippet: gone.ts -->\n```\n';
  assert.deepEqual(fill(text, read), { text, differences: [], problems: [], loose: [] });
});

test('a program that is cut from no file is reported, other languages are not', () => {
  assert.deepEqual(fill('```ts\nx\n```\n```sh\ny\n```\n', read).loose, [{ line: 1, language: 'ts' }]);
});

test('check fails on a stale page until write has mended it, and refuses programs that are cut from no file', () => {
  const root = mkdtempSync(join(tmpdir(), 'snippets-'));
  try {
    const readme = join(root, 'README.md');
    writeFileSync(join(root, 'main.ts'), program);
    writeFileSync(readme, page('<!-- snippet: main.ts#inner -->'));
    const said = [];
    const log = (line) => said.push(line);
    assert.equal(main(root, {}, log), 1);
    assert.ok(said.includes('README.md:3: differs from main.ts#inner'), said.join('\n'));
    assert.ok(said.includes('To mend: node .ci/snippets.mjs --write'));
    assert.equal(main(root, { write: true }, log), 0);
    assert.match(readFileSync(readme, 'utf8'), /if \(decision\.action/);
    assert.equal(main(root, {}, log), 0);
    writeFileSync(readme, '```ts\nx\n```\n<!-- snippet: ../main.ts -->\n```ts\n```\n');
    assert.equal(main(root, { write: true }, log), 1);
    assert.ok(said.some((line) => line.includes('outside the repository')));
    writeFileSync(readme, '```ts\nx\n```\n');
    assert.deepEqual([main(root, { write: true }, log), main(root, {}, log)], [0, 1]);
  } finally {
    rmSync(root, { recursive: true });
  }
});
