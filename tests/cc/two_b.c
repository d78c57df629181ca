/* The other half. */
int half(int number);

int half(int number)
{
	return number / 2;
}
