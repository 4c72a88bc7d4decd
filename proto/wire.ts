// The generated code of lenscap.proto, set up; the only way to it.
import './plain-integers.ts';
import protobuf from 'protobufjs/minimal.js';
import { lenscap } from '#proto';

export { lenscap, protobuf };
