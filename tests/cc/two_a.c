/* One half of a program that is optimised as a whole. */
int half(int number);

int main(void)
{
	return half(84);
}
