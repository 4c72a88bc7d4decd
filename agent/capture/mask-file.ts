// A file without a name that holds the image of the masks: this process writes it, the capture
// child reads it through a descriptor. INVARIANT: it is in no folder, so that nobody else can put
// another one in its place and nothing is left behind.
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export class MaskFile {
  readonly fd: number;
  #isOpen = true;

  constructor() {
    const folder = mkdtempSync(join(tmpdir(), 'lenscap-'));
    try {
      this.fd = openSync(join(folder, 'mask'), 'wx+', 0o600);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  /** Once it is closed nothing is written: its descriptor may be another file's by then. */
  write(image: Uint8Array): void {
    if (!this.#isOpen) return;
    ftruncateSync(this.fd, 0);
    for (let at = 0; at < image.byteLength; )
      at += writeSync(this.fd, image, at, image.byteLength - at, at);
  }

  close(): void {
    if (this.#isOpen) closeSync(this.fd);
    this.#isOpen = false;
  }
}
