// 64-bit integers are numbers (exact to 2^53; see fields.ts), never objects of the `long` package,
// which protobufjs would use where it happens to be installed. Has to run before the generated code.
import protobuf from 'protobufjs/minimal.js';

Reflect.set(protobuf.util, 'Long', undefined);
protobuf.configure();
