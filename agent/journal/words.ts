// The vocabulary of the journal: plain words that may leave the device, those of our own messages and of
// what Node, TLS, the kernel and GStreamer say about failures. INVARIANT: a word that is not here is
// hidden, so that a name, a password or a host that is a word like any other stays on the device.

const WORDS: ReadonlySet<string> = new Set(
  `
  a aac abort aborted about above absent accept acceptable accepted access account acknowledged
  acknowledgement across add address addresses admit after again against agent aggregate ai alert
  alerts all allocation allow along alpha already alsa also although altname always am among an
  and anew another answer answers any applied are aren arg argument around array as ask asked
  asking asks assertion assignment at attached attempt attempts audio authority authorized auto
  available avenc back bad base batch be bears became because been before begin behind being
  belong belongs below beneath beside between beyond bframes big binary bit bitrate bits black
  blinking board boards body both bottom bounded box bps breathing bright brightness broke broken
  buf buffer buffers bug bundle busy but button by byte bytes ca calibrated call callback called
  calls cam came camera cameras can canceled cancelled cannot cap capabilities caps capture
  captured capturing case cause caused cert certificate certificates certs chain change changed
  changing character characters check checksum child choose chunk chunks cipher circular claim
  claimed claiming claims class client clock closed closer cloud code codec coded codes column
  come command compacts complexity computer config configuration configure configured confirmed
  connack connect connected connecting connection connections consent consented consents constant
  container containing content control converting core costs could couldn counts covered cpu
  crashed credentials critical crl cross csr ctx cyclic d damaged dark data dates day days debug
  decode decoder decrypt decryption defined delayed deleted deletions delivers demultiplex denied
  deprecated descriptor destination destroyed determine dev device devices did didn differ dir
  directory disappeared disconnect disconnected disk do document does doesn doing don done double
  down downstream drift driver drop dropped drops dumped duplicated duration during e each
  earlier eight either element else empty enc encode encoder encountered encrypted encrypting end
  ended endpoint ends enough eos epoch erased err error esds established eval event events ever
  every everything exceeded except exception exec exist exists exit expected experimental expired
  explicit ext extension external factory failed failure fallback false family fatal fault faults
  feature few ffprobe field figures file files firewall firmware first fit five flag flags flash
  flow flushing folder folders for force forget forgetting format formats forward found four fps
  frames free freq from fs full function further gain gap gave gb get getaddrinfo gib give given
  gives go goes good gop gpio grant granted h had hadn handling handshake hang has hasn have
  haven having header health healthy heap hearing heat height held help helper here hex high
  hints his hold holds host hostname hours how http https hz i id identifier identity idr if
  ignored illegal implement implemented in inappropriate include indicator ineffective info
  information init initialize input inside install installation installed instance interfaces
  internal interrupted interval into intraframes invalid ioctl is isn issued issuer it iterable
  its itself javascript jitter journal json judged judges just kb kbps keep keepalive keeps kept
  kernel key keyframe keys khz kib killed kind know known knows label lacks lamp large largest
  last lasts late latency later leaf leaky lease least leave leds left length lens lenscap let
  level libav libcamera libcamerasrc library life light limit line lines link linked linking
  links linux list listen listener listens lit live load loader local locked locking log login
  long longer longest look looked looking lookup loopback looped loss lost low lower machine made
  mail maker malformed manager many mark mask masked masks match max maximum may mb me means
  meanwhile media memory message metrics mhz mib microphone might milliseconds min minutes
  mismatch missing mode more most motion moves moving ms much multiple multiplex must mustn muxed
  my name named names near need needs negotiated negotiation neither network never new next nine
  no nobody node non none nor not nothing notify now ns null number object of off offline offset
  often ok old older oldest on once one ones online only onto open opened openh opening operation
  option opusenc or order other others ought our out output over overflow overlay own owner
  owners ownership package packet packets pad page parameter part passed passthrough password
  path pattern peer pending per percent perform permanent permission permitted picture pictures
  pinned pipe pipeline play played playing please plug plugged plugin plugins pointer policy pool
  port position power premature preset pressed print printed prints private problem process
  progress promise proof proofs properties property protobuf protocol protocols proven public
  purpose pushed px query queue quoted raise ran range rate reach reached read readable reading
  reads ready real reason received reconnect record recorded recording recordings records
  redistribute reference refusal refused regular rejected rejection release released reload
  reloading remaining remote remove removed renegotiation renew renewal renewed repair repaired
  repeats replace replaced report reports request requested requests required reset resets
  resolved resource rest restart restarting result reverted revoked right room rotate rotation
  run runs s said same saved say says schedule scope scopes sealed second seconds secure seek
  seen segment segmentation segments selected self send sends sensitivity sensor sent sequence
  serial server service set setting settings settled setup seven shall shared short shorten
  should shouldn shows shutdown sign signal signature signed signing silence silent since six
  size sizes slow small snapshot snapshots so socket software some somebody something soon sound
  source space speed splits spool ssl stack stall standard stands start started stat state status
  stay stays steadier step sticky still stop stopped stopping storage stored stream streaming
  streams string structure subject such suitable supplied supported supporting sure suspended
  symbolic synced synchronize syntax sys system systemd table tag taken takes tamper target tcp
  tee tells temperature temporarily temporary ten terminated text than that the their them then
  there these they thing third thirds this those though thread three through throughout tidy time
  timed timeout times tls to today together token told tone too took top topic total toward trace
  track tracks transport trap trial trials tried true trusted trying tune twice two type typing
  ugly unable unacknowledged unauthorized unavailable uncaught uncovered undefined under
  unencrypted unexpected unhandled unhealthy unicode unknown unless unlinked unreachable unref
  unscheduled unsupported until untrusted unusable up update uplink upon url us usable usage use
  used user username uses valid value variable verdict verify version very via video videorate
  videotestsrc volume wait waited waiting waits warn warning was wasn watchdog watched way we
  were weren what when where which while whitespace who whole whose why width will with
  withdrawal withdrawals withdrawn within without won words work worked works would wouldn
  writable write writes writing written wrong wrote yes yet you your zone zones
`
    .trim()
    .split(/\s+/),
);
const SHORTENED = /['’](?:s|t|d|m|re|ve|ll)$/;

/** Whether it is a word, as it stands in the vocabulary or at the beginning of a sentence. */
export function isWord(text: string): boolean {
  if (WORDS.has(text)) return true;
  const lower = /^[A-Z][a-z]*(?:['’][a-z]+)?$/.test(text) ? text.toLowerCase() : text;
  return WORDS.has(lower.replace(SHORTENED, ''));
}

/** Whether it is a few words joined by such a sign. */
export function isJoined(text: string, sign: string | RegExp): boolean {
  const words = text.split(sign);
  return words.length > 1 && words.length <= 6 && words.every(isWord);
}
