// snippets.mjs: the code in our prose is cut from files that CI runs, so that prose cannot drift from code.
//
//   node .ci/snippets.mjs --check   compares; exits 1 and says what differs and how to mend it, and refuses ts and js fences
//                                   that are cut from nowhere: what nothing runs drifts
//   node .ci/snippets.mjs --write   rewrites the fences from the files
//
// A fence is bound to its source by an HTML comment on the line above it (blank lines between them are fine):
//
//   <!-- snippet: examples/quickstart/src/main.ts#gate -->      lines between `// #region gate` and `// #endregion`
//   <!-- snippet: examples/quickstart/src/main.ts -->           the whole file
//   <!-- snippet: examples/quickstart/src/main.ts no-header -->  without the comment lines it opens with
//   <!-- output: docs/output/compare.txt -->                    text a program printed
//
// Paths are from the root of the repository. A file or region that is gone is an error, never an empty snippet.

import { readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const directive = /^\s*<!--\s*(snippet|output):\s*([^\s#]+)(?:#([\w.-]+))?(\s+no-header)?\s*-->\s*$/;
const attempt = /^\s*<!--\s*(?:snippet|output)\b/;
const fence = /^(\s*)(`{3,}|~{3,})\s*([\w-]*)[^`]*$/;
const programs = new Set(['ts', 'tsx', 'typescript', 'js', 'jsx', 'mjs', 'javascript']);

/**
 * Fills the bound fences of one document. `read(path)` returns a file's text or throws.
 * Returns the new text and what was found: `differences` (stale fences), `problems` (cannot be filled), `loose` (unbound programs).
 */
export function fill(markdown, read) {
  const lines = markdown.split('\n');
  const out = [];
  const differences = [];
  const problems = [];
  const loose = [];
  let bound;
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at];
    const open = fence.exec(line);
    if (!open) {
      if (bound && line.trim() !== '') {
        problems.push({ line: bound.line, message: `${bound.text} is not followed by a fenced block` });
        bound = undefined;
      }
      const found = directive.exec(line);
      if (found)
        bound = { line: at + 1, text: line.trim(), kind: found[1], path: found[2], region: found[3], noHeader: !!found[4] };
      else if (attempt.test(line)) problems.push({ line: at + 1, message: `${line.trim()} cannot be understood` });
      out.push(line);
      continue;
    }
    const [, indent, marker, language] = open;
    let end = at + 1;
    while (end < lines.length && !closes(lines[end], marker)) end++;
    if (end === lines.length) {
      problems.push({ line: at + 1, message: 'this fence is never closed' });
      out.push(...lines.slice(at));
      bound = undefined;
      break;
    }
    const has = lines.slice(at + 1, end);
    let wants = has;
    if (bound) {
      try {
        wants = cut(bound, read).map((text) => (text === '' ? '' : indent + text));
        const inside = wants.find((text) => closes(text, marker));
        if (inside !== undefined) throw new Error(`${bound.path} holds ${inside.trim()}; use a longer fence`);
      } catch (error) {
        problems.push({ line: bound.line, message: error.message });
        wants = has;
      }
      if (wants.join('\n') !== has.join('\n')) differences.push({ line: at + 1, bound, has, wants });
    } else if (programs.has(language)) {
      loose.push({ line: at + 1, language });
    }
    out.push(line, ...wants, lines[end]);
    bound = undefined;
    at = end;
  }
  if (bound) problems.push({ line: bound.line, message: `${bound.text} is not followed by a fenced block` });
  return { text: out.join('\n'), differences, problems, loose };
}

function closes(line, marker) {
  const text = line.trim();
  return text.length >= marker.length && text === marker[0].repeat(text.length);
}

/** The lines a directive asks for. */
function cut(bound, read) {
  let text;
  try {
    text = read(bound.path);
  } catch (error) {
    throw new Error(`${bound.path} cannot be read (${error.code ?? error.message})`);
  }
  let lines = text.replace(/\r\n/g, '\n').replace(/\n+$/, '').split('\n');
  if (bound.kind === 'output') return lines;
  if (bound.region !== undefined) lines = region(lines, bound);
  else if (bound.noHeader)
    lines = lines.slice(
      Math.max(
        0,
        lines.findIndex((line) => !/^(\/\/|#!|\s*$)/.test(line)),
      ),
    );
  lines = dedent(trimBlank(lines.filter((line) => !regionMark(line))));
  if (lines.length === 0) throw new Error(`${bound.path}${bound.region ? `#${bound.region}` : ''} is empty`);
  return lines;
}

function regionMark(line) {
  const found = /^\s*\/\/\s*#(region|endregion)\b\s*([\w.-]*)/.exec(line);
  return found && { kind: found[1], name: found[2] };
}

function region(lines, bound) {
  const starts = lines.flatMap((line, at) => {
    const mark = regionMark(line);
    return mark?.kind === 'region' && mark.name === bound.region ? [at] : [];
  });
  if (starts.length !== 1) {
    const names = lines
      .map(regionMark)
      .filter((mark) => mark?.kind === 'region')
      .map((mark) => mark.name);
    const which = starts.length === 0 ? 'has no region' : 'has more than one region';
    throw new Error(`${bound.path} ${which} ${bound.region} (it has: ${names.join(', ') || 'none'})`);
  }
  let depth = 0;
  for (let at = starts[0]; at < lines.length; at++) {
    const mark = regionMark(lines[at]);
    if (mark) depth += mark.kind === 'region' ? 1 : -1;
    if (depth === 0) return lines.slice(starts[0] + 1, at);
  }
  throw new Error(`${bound.path}: region ${bound.region} is never ended`);
}

function trimBlank(lines) {
  const first = lines.findIndex((line) => line.trim() !== '');
  const last = lines.findLastIndex((line) => line.trim() !== '');
  return first === -1 ? [] : lines.slice(first, last + 1);
}

function dedent(lines) {
  const depths = lines.filter((line) => line.trim() !== '').map((line) => /^ */.exec(line)[0].length);
  const depth = Math.min(...depths);
  return lines.map((line) => line.slice(Math.min(depth, line.length)));
}

const skipped = new Set(['node_modules', 'dist', '.git', '.turbo', '.offswitch', '.changeset', 'coverage']);

function documents(root) {
  const found = [];
  const walk = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.isDirectory() && !skipped.has(entry.name)) walk(join(folder, entry.name));
      else if (entry.isFile() && entry.name.endsWith('.md') && entry.name !== 'CHANGELOG.md')
        found.push(join(folder, entry.name));
    }
  };
  walk(root);
  return found.sort();
}

/** Runs over every document below `root`. Returns the exit code. */
export function main(root, options, log = console.log) {
  const read = (path) => {
    const full = resolve(root, path);
    if (!full.startsWith(root + sep)) throw new Error('it is outside the repository');
    return readFileSync(full, 'utf8');
  };
  const count = { documents: 0, stale: 0, problems: 0, loose: 0, written: 0 };
  for (const file of documents(root)) {
    const name = relative(root, file);
    const before = readFileSync(file, 'utf8');
    const { text, differences, problems, loose } = fill(before, read);
    count.documents++;
    count.problems += problems.length;
    for (const { line, message } of problems) log(`${name}:${line}: ${message}`);
    count.loose += loose.length;
    for (const { line, language } of loose) log(`${name}:${line}: a ${language} block that is cut from no file that runs`);
    if (options.write) {
      if (text !== before) writeFileSync(file, text);
      count.written += differences.length;
      continue;
    }
    count.stale += differences.length;
    for (const { line, bound, has, wants } of differences) {
      log(`${name}:${line}: differs from ${bound.path}${bound.region ? `#${bound.region}` : ''}`);
      const first = wants.findIndex((wanted, at) => wanted !== has[at]);
      const where = first === -1 ? wants.length : first;
      log(`  - ${has[where] ?? '(the block ends here)'}`);
      log(`  + ${wants[where] ?? '(the file ends here)'}`);
    }
  }
  if (options.write) log(`${count.documents} documents, ${count.written} snippets rewritten, ${count.problems} problems`);
  else
    log(`${count.documents} documents, ${count.stale} stale snippets, ${count.problems} problems, ${count.loose} loose blocks`);
  if (count.stale > 0) log('To mend: node .ci/snippets.mjs --write');
  return count.stale + count.problems + (options.write ? 0 : count.loose) > 0 ? 1 : 0;
}

const here = fileURLToPath(import.meta.url);
if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === realpathSync(here)) {
  const flags = process.argv.slice(2);
  const known = new Set(['--check', '--write']);
  if (flags.some((flag) => !known.has(flag)) || flags.includes('--check') === flags.includes('--write')) {
    console.error('usage: node .ci/snippets.mjs (--check | --write)');
    process.exit(2);
  }
  process.exit(main(dirname(dirname(here)), { write: flags.includes('--write') }));
}
