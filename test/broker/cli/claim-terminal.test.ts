// Claiming at a real terminal.
import t from 'tap';
import { qrText } from '../../../proto/setup-code.ts';
import { CODE, claimWith } from './claiming.ts';
import { atTerminal, loggedIn } from './process.ts';
import { readCharacters } from './qr-reader.ts';

t.test(
  'on a terminal the QR code is white on black, and the wait ends with the camera',
  async (t) => {
    const { house, home } = await loggedIn(t);
    let claimed: Promise<string> | undefined;
    const ended = await atTerminal(
      home,
      ['claim', 'new', '--name', 'cellar', '--wait'],
      '',
      (out) => {
        const code = CODE.exec(out)?.[1];
        if (code !== undefined && out.includes('waiting for the board'))
          claimed ??= claimWith(house, code);
      },
    );
    t.equal(ended.status, 0, ended.out);
    const deviceId = await claimed;
    t.match(ended.out, new RegExp(`cellar is yours: ${deviceId}`));
    t.match(ended.out, /waiting for the board; 1[45] min/);
    const white = '\u001b[97;40m';
    const lines = ended.out.split(/\r?\n/).filter((line) => line.startsWith(white));
    const blocks = lines.map((line) => line.slice(white.length).replace('\u001b[0m', ''));
    t.equal(await readCharacters(home, blocks, true), qrText(CODE.exec(ended.out)?.[1] ?? ''));
  },
);
