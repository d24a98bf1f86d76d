#!/usr/bin/env node
// The command is built from src/cli; in a fresh checkout it is not there yet.
import { existsSync } from 'node:fs';

const program = new URL('../dist/cli/main.js', import.meta.url);
if (existsSync(program)) {
  const { main, processIo } = await import(program.href);
  // Nobody may read what we print (`| head`), or there may be no room for it (a full disk): no reason to leave a stop half made. That
  // nobody reads is no error of ours; what found no room is, and is told on the other stream.
  let isLost = false;
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error) => {
      if (error.code === 'EPIPE' || error.code === 'EIO' || isLost) return;
      isLost = true;
      process.exitCode ||= 1;
      const other = stream === process.stdout ? process.stderr : process.stdout;
      other.write(`offswitch: what is printed here is lost (${error.message}); what was asked for goes on: offswitch status\n`);
    });
  }
  const code = await main(process.argv.slice(2), processIo());
  process.exitCode = isLost ? code || 1 : code;
} else {
  process.stderr.write(
    'offswitch: the command is not built yet; run "npm run build" in the checkout, or reinstall the package\n',
  );
  process.exitCode = 1;
}
