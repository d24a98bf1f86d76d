// directions.test.mjs: who may depend on whom, held over what is published and what the sources import.
//
// `turbo boundaries` refuses imports that a package does not declare. Its tags cannot hold the directions: they follow
// development dependencies, and every source is tested with the contract suite of `testing`, which knows the runtime.

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folders = readdirSync(join(root, 'packages')).filter((name) => existsSync(join(root, 'packages', name, 'package.json')));
const manifest = (folder) => JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));

/** Packages of ours that each package may use when it runs. The drawing in docs/architecture.md says the same. */
const mayUse = {
  '@offswitch/core': [],
  '@offswitch/flag-file': ['@offswitch/core'],
  '@offswitch/launchdarkly': ['@offswitch/core'],
  '@offswitch/growthbook': ['@offswitch/core'],
  '@offswitch/unleash': ['@offswitch/core'],
  '@offswitch/openfeature-provider': ['@offswitch/core'],
  '@offswitch/runtime': ['@offswitch/core'],
  '@offswitch/telemetry': ['@offswitch/core', '@offswitch/runtime'],
  '@offswitch/oauth': ['@offswitch/runtime'],
  '@offswitch/ai-sdk': ['@offswitch/core', '@offswitch/runtime'],
  '@offswitch/redis': ['@offswitch/core', '@offswitch/runtime'],
  '@offswitch/testing': ['@offswitch/core', '@offswitch/runtime'],
  offswitch: ['@offswitch/core', '@offswitch/runtime', '@offswitch/flag-file'],
};

const isOurs = (name) => name === 'offswitch' || name.startsWith('@offswitch/');

function sources(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory()
      ? sources(join(folder, entry.name))
      : /\.[mc]?[jt]sx?$/.test(entry.name)
        ? [join(folder, entry.name)]
        : [],
  );
}

/** The packages a source file imports, types included: `from 'x'`, `import 'x'`, `import('x')`. */
function imports(file) {
  const text = readFileSync(file, 'utf8').replace(/^\s*(\/\/|\*|\/\*).*$/gm, '');
  const found = [...text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*['"]([^'".\s][^'"\s]*)['"]/g)].map((match) => match[1]);
  return found.map((name) =>
    name
      .split('/')
      .slice(0, name.startsWith('@') ? 2 : 1)
      .join('/'),
  );
}

const published = folders
  .map((name) => ({ folder: `packages/${name}`, ...manifest(`packages/${name}`) }))
  .filter((one) => !one.private);

describe('direction of dependency', () => {
  for (const one of published) {
    test(`${one.name} has its place in the table`, () =>
      assert.ok(mayUse[one.name], `add ${one.name} to mayUse and to docs/architecture.md`));

    test(`${one.name} declares no package of ours outside its direction`, () => {
      const declared = Object.keys({ ...one.dependencies, ...one.peerDependencies, ...one.optionalDependencies }).filter(isOurs);
      assert.deepEqual(
        declared.filter((name) => !mayUse[one.name]?.includes(name)),
        [],
      );
    });

    test(`${one.name} imports only what is installed with it`, () => {
      const installed = new Set([
        one.name,
        ...Object.keys({ ...one.dependencies, ...one.peerDependencies, ...one.optionalDependencies }),
      ]);
      const wrong = [...sources(join(root, one.folder, 'src')), ...sources(join(root, one.folder, 'bin'))].flatMap((file) =>
        imports(file)
          .filter((name) => !name.startsWith('node:') && !installed.has(name))
          .map((name) => `${file.slice(root.length + 1)} imports ${name}`),
      );
      assert.deepEqual(wrong, []);
    });
  }

  test('core has no dependency at all', () => {
    const core = manifest('packages/core');
    assert.deepEqual([core.dependencies, core.peerDependencies, core.optionalDependencies], [undefined, undefined, undefined]);
  });

  test('core imports nothing from Node: no I/O, no clock', () => {
    for (const file of sources(join(root, 'packages/core/src'))) {
      const text = readFileSync(file, 'utf8');
      assert.deepEqual(imports(file), [], file);
      assert.doesNotMatch(text, /\bDate\.now\(|\bnew Date\(\)|\bset(Timeout|Interval|Immediate)\(|\bperformance\.now\(/, file);
    }
  });
});

describe('what is installed', () => {
  for (const file of ['package-lock.json', '.ci/node24/package-lock.json', 'packages/unleash/real-server/package-lock.json']) {
    test(`${file} names no host, so that any registry serves it`, () => {
      const lock = JSON.parse(readFileSync(join(root, file), 'utf8'));
      const named = Object.entries(lock.packages).filter(([, one]) => one.resolved !== undefined && !one.link);
      assert.deepEqual(
        named.map(([name]) => name),
        [],
      );
    });
  }

  test('no package that users install runs a script at install time', () => {
    const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
    const scripts = Object.entries(packages).filter(
      ([, one]) => one.hasInstallScript && !one.dev && !one.devOptional && !one.link,
    );
    assert.deepEqual(
      scripts.map(([name]) => name).filter((name) => name !== ''),
      [],
    );
    for (const { name, scripts: own = {} } of published) {
      const atInstall = ['preinstall', 'install', 'postinstall', 'prepare'].filter((script) => own[script] !== undefined);
      assert.deepEqual(atInstall, [], name);
    }
  });
});
