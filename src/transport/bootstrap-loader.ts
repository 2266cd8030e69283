// biome-ignore-all lint/style/useNodejsImportProtocol: an old Node does not know node:fs

/** What the far side answers first, and how its sender tells it what follows. */
export const GREETING =
  /^lvmsync-bootstrap (\d{1,4})\.(\d{1,4})\.(\d{1,4}) (\w{1,16}) (glibc|musl)$/;

/** Of the header, which is JSON and padded with spaces. */
export const HEADER_BYTES = 1024;

/** One file, packed by gzip. */
export interface PackedFile {
  name: string;
  packedBytes: number;
  /** Of the unpacked file, in hexadecimal. */
  sha256: string;
}

/** What the single file exports. */
interface Standalone {
  loadAddon(): unknown;
  main(words: readonly string[]): Promise<number>;
}

/**
 * The script for `node -e SCRIPT -- WORD...` on a machine without lvmsync: it says which Node it is,
 * reads the program from standard input, and runs it with the words. What follows there is the
 * program's own input.
 */
export const LOADER_SCRIPT = `(${loadAndRun})(require, ${HEADER_BYTES})`;

/**
 * Its files are in a private directory only until they are loaded, within one turn of the event
 * loop that no signal but SIGKILL cuts short. It is sent as text: it may use nothing from outside
 * it, and no syntax that an old Node does not know, which has to get as far as its version.
 */
function loadAndRun(require: NodeJS.Require, headerBytes: number): void {
  const fs: typeof import('node:fs') = require('fs');
  const path: typeof import('node:path') = require('path');
  const { createHash }: typeof import('node:crypto') = require('crypto');
  const { gunzipSync }: typeof import('node:zlib') = require('zlib');
  const { tmpdir }: typeof import('node:os') = require('os');

  function read(bytes: number): Buffer {
    const into = Buffer.alloc(bytes);
    let filled = 0;
    while (filled < bytes) {
      try {
        const count = fs.readSync(0, into, filled, bytes - filled, null);
        if (count === 0) process.exit(4); // the sender has seen enough
        filled += count;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
      }
    }
    return into;
  }

  function unpack(bytes: Buffer): Buffer {
    try {
      return gunzipSync(bytes);
    } catch {
      return Buffer.alloc(0); // its digest says so
    }
  }

  function fail(why: string): never {
    fs.writeSync(2, `FATAL ERROR: lvmsync cannot be run here: ${why}\n`);
    process.exit(5);
  }

  process.title = 'lvmsync';
  const libc = fs.existsSync('/etc/alpine-release') ? 'musl' : 'glibc';
  fs.writeSync(1, `lvmsync-bootstrap ${process.versions.node} ${process.arch} ${libc}\n`);
  const packed: PackedFile[] = JSON.parse(read(headerBytes).toString());
  const files = packed.map(({ name, packedBytes, sha256 }) => {
    const data = unpack(read(packedBytes));
    if (createHash('sha256').update(data).digest('hex') !== sha256) {
      fail(`${name} has not arrived as it was sent`);
    }
    return { name, data };
  });
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) process.on(signal, () => {});
  let lvmsync: Standalone;
  let directory = '';
  try {
    directory = fs.mkdtempSync(path.join(tmpdir(), 'lvmsync-')); // mode 0700
    for (const { name, data } of files) {
      fs.writeFileSync(path.join(directory, name), data, { mode: 0o600 });
    }
    lvmsync = require(path.join(directory, 'lvmsync.cjs'));
    try {
      lvmsync.loadAddon();
    } catch {
      // It says so when it wants the addon, and does without.
    }
  } catch (error) {
    fail(String(error));
  } finally {
    if (directory !== '') fs.rmSync(directory, { recursive: true, force: true });
  }
  lvmsync.main(process.argv.slice(1)).then((status) => process.exit(status));
}
