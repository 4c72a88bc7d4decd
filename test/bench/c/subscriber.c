/* The baseline's consumer: subscribes with QoS 1 and writes each message to a file of its own,
 * synced before the next one is looked at. usage: subscriber PORT DIR TOPIC
 * Prints `subscribed` once it is; on SIGTERM one line `received MESSAGES BYTES` and ends. */
#include <errno.h>
#include <fcntl.h>
#include <mosquitto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t ending;
static int folder;
static unsigned long messages;
static unsigned long long bytes;

static void fail(const char *what)
{
	fprintf(stderr, "subscriber: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void on_signal(int number)
{
	(void)number;
	ending = 1;
}

static void on_connect(struct mosquitto *client, void *topic, int code)
{
	if (code != 0 || mosquitto_subscribe(client, NULL, topic, 1) != MOSQ_ERR_SUCCESS)
		fail("connect");
}

static void on_subscribe(struct mosquitto *client, void *topic, int id, int count, const int *qos)
{
	(void)client, (void)topic, (void)id, (void)count, (void)qos;
	printf("subscribed\n");
	fflush(stdout);
}

static void on_message(struct mosquitto *client, void *topic, const struct mosquitto_message *message)
{
	char name[32];
	int written = 0;
	(void)client, (void)topic;
	snprintf(name, sizeof name, "%08lu", messages);
	int file = openat(folder, name, O_CREAT | O_EXCL | O_WRONLY, 0600);
	if (file < 0)
		fail("open");
	while (written < message->payloadlen) {
		ssize_t n = write(file, (char *)message->payload + written, message->payloadlen - written);
		if (n < 0)
			fail("write");
		written += n;
	}
	if (fdatasync(file) != 0 || close(file) != 0)
		fail("fdatasync");
	messages++;
	bytes += message->payloadlen;
}

int main(int count, char **argument)
{
	if (count != 4)
		return 64;
	signal(SIGTERM, on_signal);
	if ((folder = open(argument[2], O_RDONLY | O_DIRECTORY)) < 0)
		fail(argument[2]);
	mosquitto_lib_init();
	struct mosquitto *client = mosquitto_new("writer", true, argument[3]);
	if (client == NULL)
		fail("new");
	mosquitto_connect_callback_set(client, on_connect);
	mosquitto_subscribe_callback_set(client, on_subscribe);
	mosquitto_message_callback_set(client, on_message);
	if (mosquitto_connect(client, "127.0.0.1", atoi(argument[1]), 600) != MOSQ_ERR_SUCCESS)
		fail("connect");
	while (!ending)
		if (mosquitto_loop(client, 100, 1) != MOSQ_ERR_SUCCESS && !ending)
			fail("loop");
	printf("received %lu %llu\n", messages, bytes);
	return 0;
}
