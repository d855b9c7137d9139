import { ServerInterceptingCall, type ServerInterceptingCallInterface } from '@grpc/grpc-js';

/** A call that tells when it asks for messages, and while answers are not taken. */
export class PatientCall extends ServerInterceptingCall {
  readonly #read: (read: () => void) => void;
  readonly #sending: (isSending: boolean) => void;

  constructor(
    call: ServerInterceptingCallInterface,
    responder: ConstructorParameters<typeof ServerInterceptingCall>[1],
    read: (read: () => void) => void,
    sending: (isSending: boolean) => void,
  ) {
    super(call, responder);
    this.#read = read;
    this.#sending = sending;
  }

  override startRead(): void {
    this.#read(() => super.startRead());
  }

  override sendMessage(message: unknown, sent: () => void): void {
    this.#sending(true);
    super.sendMessage(message, () => {
      this.#sending(false);
      sent();
    });
  }
}
