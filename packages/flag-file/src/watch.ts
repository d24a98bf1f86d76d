// watch.ts: notices that the file may have changed. Too often is fine, never is not.
//
// The directory is watched and not the file, because editors and our own control replace the file. A link is watched at both
// ends, which is how Kubernetes swaps a mounted ConfigMap. Watching can miss (network mounts, a full watch table, a directory
// that was replaced), so a slow poll compares what `stat` says.

import { type FSWatcher, watch } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';

export interface FileWatch {
  /** Idempotent. After it `changed` is not called again. */
  close(): void;
}

/** Events come in bursts (truncate, write, close). Milliseconds. */
const debounceMs = 2;

/** `changed(true)`: this very file was named. `changed(false)`: something near it, or the poll: compare before reading. */
export async function watchFile(path: string, pollMs: number, changed: (isNamed: boolean) => void): Promise<FileWatch> {
  const watchers = new Map<string, { readonly inode: string; readonly watcher: FSWatcher }>();
  let isClosed = false;
  let burst: NodeJS.Timeout | undefined;
  let isNamed = false;

  const heard = (named: boolean): void => {
    isNamed ||= named;
    burst ??= setTimeout(() => {
      burst = undefined;
      const wasNamed = isNamed;
      isNamed = false;
      if (!isClosed) changed(wasNamed);
    }, debounceMs);
  };
  const drop = (directory: string): void => {
    watchers.get(directory)?.watcher.close();
    watchers.delete(directory);
  };
  const attach = async (): Promise<void> => {
    const real = await realpath(path).catch(() => path);
    const wanted = new Map([
      [dirname(path), basename(path)],
      [dirname(real), basename(real)],
    ]);
    for (const directory of [...watchers.keys()]) if (!wanted.has(directory)) drop(directory);
    for (const [directory, name] of wanted) {
      const inode = await stat(directory, { bigint: true }).then(
        (found) => `${found.dev}.${found.ino}`,
        () => undefined,
      );
      if (isClosed) return;
      if (watchers.get(directory)?.inode === inode) continue;
      drop(directory);
      if (inode === undefined) continue;
      try {
        const watcher = watch(directory, { persistent: false }, (_event, filename) =>
          heard(filename === null || filename === name),
        );
        watcher.on('error', () => drop(directory));
        watchers.set(directory, { inode, watcher });
        heard(false);
      } catch {
        // No watch to be had here. The poll carries on alone, and tries again each time.
      }
    }
  };
  const poll = (): NodeJS.Timeout =>
    setTimeout(async () => {
      await attach();
      if (isClosed) return;
      changed(false);
      timer = poll();
      timer.unref();
    }, pollMs);

  await attach();
  let timer = poll();
  timer.unref();
  return {
    close() {
      isClosed = true;
      clearTimeout(timer);
      clearTimeout(burst);
      for (const directory of [...watchers.keys()]) drop(directory);
    },
  };
}
