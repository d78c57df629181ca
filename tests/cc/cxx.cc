// C++ without exceptions: static objects, local statics that threads race for, virtual functions,
// memory.
#include <stdio.h>

#include <capos/capos.h>

namespace
{

struct Named {
	explicit Named(const char *text) : name(text)
	{
		printf("make %s\n", name);
	}
	~Named()
	{
		printf("unmake %s\n", name);
	}
	const char *name;
};

Named first("first"), second("second");

struct Shape {
	virtual ~Shape()
	{
	}
	virtual int area() const = 0;
};

struct Square final : Shape {
	explicit Square(int side) : side(side)
	{
	}
	int area() const override
	{
		return side * side;
	}
	int side;
};

int64_t use_local(void *)
{
	static Named local("local");
	return local.name[0];
}

} // namespace

int main()
{
	struct capos_thread *threads[4];
	int64_t sum = 0, result;
	for (auto &thread : threads)
		if (capos_thread_start(&thread, use_local, nullptr, nullptr) < 0)
			return 1;
	for (auto *thread : threads) {
		if (capos_thread_join(thread, &result) < 0)
			return 2;
		sum += result;
	}
	Shape *shape = new Square(7);
	int *numbers = new int[3]{ 1, 2, 3 };
	printf("%d %d %d\n", (int)sum, shape->area(), numbers[2]);
	delete[] numbers;
	delete shape;
	return 0;
}
